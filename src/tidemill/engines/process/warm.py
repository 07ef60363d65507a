"""Forks the SDK's jobs from interpreters that have imported the job's module already.

One interpreter per (python, directory, submitted environment, module); see `tidemill.sdk.warm`
for what runs in it. It is retired when a file that the module imported has changed, when it has
been idle, or to make room for another; at most `INTERPRETERS_MAX` are kept. While one warms up
its attempts wait for it and nobody else does. When it can't be made (the import fails, the module
starts threads), its attempts are spawned like any other, and so are later ones for a while.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Final, Protocol

import msgspec

from tidemill.engines.process.ghost import ATTEMPT, WARM
from tidemill.engines.process.poll import Poll, Timer
from tidemill.engines.process.protocol import Order
from tidemill.engines.process.run import Run, kill
from tidemill.engines.process.spawn import Spawner, SpawnError

WORKER: Final = "tidemill.sdk.worker"
HOST: Final = "tidemill.sdk.warm"
INTERPRETERS_MAX: Final = 8
IDLE_S: Final = 60.0
WARM_UP_S: Final = 60.0
REFUSED_S: Final = 20.0
"""How long a module that could not be made warm is spawned before it is tried again."""
REFUSED_MAX: Final = 1000
CHECK_SHARE: Final = 0.05
"""What part of the time looking for changed files may take."""
PACKET_BYTES_MAX: Final = 60_000
PACKET_RUNS_MAX: Final = 64
_PER_JOB: Final = ("TIDEMILL_TENANT", "TIDEMILL_TIMEOUT_S")
_PER_ATTEMPT: Final = ("AWS_BATCH_", "AWS_CONTAINER_", "TIDEMILL_ATTEMPT", *_PER_JOB)
# A module may make AWS clients when it is imported: they need the first attempt's credentials then,
# and those of the attempt that they are used in when they renew them.
_NOT_WHILE_WARMING: Final = ("AWS_BATCH_", "TIDEMILL_ATTEMPT", *_PER_JOB)

Key = tuple[str, str | None, str, frozenset[tuple[str, str]]]


class Owner(Protocol):
    """What the pool asks of the supervisor, and tells it."""

    def open_output(self, run: Run) -> int:
        """Make the pipe for the attempt's output; raises `SpawnError`."""

    def close_output(self, run: Run) -> None:
        """Let go of that pipe."""

    def forked(self, run: Run, pid: int, at_ms: int) -> None:
        """The attempt runs."""

    def exited(self, run: Run, status: int, cpu_s: float, memory_peak_bytes: int) -> None:
        """Its process has ended and been reaped."""

    def fell_cold(self, run: Run) -> None:
        """It must be spawned instead."""

    def vanished(self, run: Run) -> None:
        """What became of it can't be known."""


class Ready(msgspec.Struct, tag="ready"):
    """The interpreter is warm; (path, mtime in ns, size) of the project's files it imported."""

    files: list[tuple[str, int, int]]


class Failed(msgspec.Struct, tag="failed"):
    """It can't be."""

    reason: str


class Forked(msgspec.Struct, tag="forked"):
    """An attempt was forked."""

    attempt_id: str
    pid: int
    at_ms: int


class Ended(msgspec.Struct, tag="ended"):
    """The attempt's process was reaped."""

    attempt_id: str
    status: int
    cpu_s: float
    memory_peak_bytes: int


_decoder: Final = msgspec.json.Decoder(list[Ready | Failed | Forked | Ended])
_encoder: Final = msgspec.json.Encoder()


class Interpreter:
    """One warm interpreter, from its spawning to its death."""

    def __init__(self, key: Key, pid: int, sock: socket.socket) -> None:
        self.key = key
        self.pid = pid
        self.sock = sock
        self.is_ready = False
        self.is_readable = False
        self.complaint = "it died while it was imported"
        self.files: list[tuple[str, int, int]] = []
        self.waiting: dict[str, Run] = {}
        """Not sent to it yet."""
        self.live: dict[str, Run] = {}
        """Sent to it; those with a pid run."""
        self.used_at = time.monotonic()
        self.timer: Timer | None = None
        self._check_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self.waiting and not self.live

    def is_stale(self) -> bool:
        """Whether a file has changed that it imported."""
        begin = time.monotonic()
        if begin < self._check_at:
            return False
        stale = any(_has_changed(*entry) for entry in self.files)
        end = time.monotonic()
        self._check_at = end + (end - begin) / CHECK_SHARE
        return stale


class WarmPool:
    """All warm interpreters of a runner."""

    def __init__(self, poll: Poll, spawner: Spawner, owner: Owner, mark: str) -> None:
        self._poll = poll
        self._spawner = spawner
        self._owner = owner
        self._mark = mark
        self._current: dict[Key, Interpreter] = {}
        """Those that take attempts, the least recently used first."""
        self._by_pid: dict[int, Interpreter] = {}
        """All that live, retired ones too."""
        self._refused: dict[Key, float] = {}

    def owns(self, pid: int) -> bool:
        """Whether `pid` is an interpreter of this pool."""
        return pid in self._by_pid

    def takes(self, run: Run) -> bool:
        """Whether the attempt will be forked: then one of the owner's methods is called in time."""
        command = run.order.command
        if len(command) < 4 or command[2] != WORKER or command[1] != "-m" or run.order.ulimits:
            return False
        key = _key(run.order)
        interpreter = self._current.pop(key, None)
        if interpreter is not None and interpreter.is_ready and interpreter.is_stale():
            self._retire(interpreter)
            interpreter = None
        if interpreter is None:
            interpreter = self._warm_up(run.order, key)
            if interpreter is None:
                return False
        self._current[key] = interpreter
        interpreter.used_at = time.monotonic()
        interpreter.waiting[run.order.attempt_id] = run
        return True

    def gives_back(self, run: Run) -> bool:
        """Take back an attempt that was not handed to its interpreter yet; False if it was."""
        return any(
            interpreter.waiting.pop(run.order.attempt_id, None) is not None
            for interpreter in self._by_pid.values()
        )

    def read(self) -> None:
        """Take in what the interpreters have said in this wake-up."""
        for interpreter in [each for each in self._by_pid.values() if each.is_readable]:
            interpreter.is_readable = False
            self._read(interpreter)

    def flush(self) -> None:
        """Hand over what waits for those that are ready."""
        for interpreter in list(self._by_pid.values()):
            while interpreter.is_ready and interpreter.waiting and self._send(interpreter):
                pass

    def died(self, pid: int) -> None:
        """A child of the runner that is none of its attempts has ended: perhaps one of these."""
        interpreter = self._by_pid.get(pid)
        if interpreter is None:
            return
        self._read(interpreter)
        del self._by_pid[pid]
        self._close(interpreter)
        if not interpreter.is_ready:
            self._refuse(interpreter)
        for run in list(interpreter.live.values()):
            if not (run.pid and os.path.exists(f"/proc/{run.pid}")):  # noqa: PTH110 - light
                self._owner.vanished(run)
        for run in list(interpreter.waiting.values()):
            self._owner.fell_cold(run)

    def close(self) -> None:
        """End all interpreters."""
        for interpreter in self._by_pid.values():
            kill(interpreter.pid)
            self._close(interpreter)

    def _warm_up(self, order: Order, key: Key) -> Interpreter | None:
        """Begin to make an interpreter; None when there can't be one."""
        if self._refused.get(key, 0.0) > time.monotonic():
            return None
        if len(self._by_pid) >= INTERPRETERS_MAX and not self._make_room():
            return None
        environment = self._spawner.environment(order)
        for name in [name for name in environment if name.startswith(_NOT_WHILE_WARMING)]:
            del environment[name]
        environment[WARM] = self._mark
        command = [order.command[0], "-m", HOST, order.command[3]]
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:  # no file left: the attempt is spawned, or waits for one
            return None
        try:
            pid = self._spawner.spawn_host(order, command, environment, theirs.fileno())
        except SpawnError:
            ours.close()
            return None
        finally:
            theirs.close()
        ours.setblocking(False)
        interpreter = self._by_pid[pid] = Interpreter(key, pid, ours)
        interpreter.timer = self._poll.after(WARM_UP_S, lambda: kill(pid))
        self._poll.add(ours.fileno(), lambda: setattr(interpreter, "is_readable", True))
        return interpreter

    def _make_room(self) -> bool:
        for interpreter in self._current.values():
            if interpreter.is_idle:
                self._retire(interpreter)
                return True
        return False

    def _retire(self, interpreter: Interpreter) -> None:
        """Give it no more attempts; it ends when its last one has."""
        if self._current.get(interpreter.key) is interpreter:
            del self._current[interpreter.key]
        if interpreter.is_idle:
            self._close(interpreter)

    def _close(self, interpreter: Interpreter) -> None:
        """Let go of the socket, upon which the interpreter ends."""
        if self._current.get(interpreter.key) is interpreter:
            del self._current[interpreter.key]
        if interpreter.timer is not None:
            interpreter.timer.cancel()
        if interpreter.sock.fileno() >= 0:
            self._poll.remove(interpreter.sock.fileno())
            interpreter.sock.close()

    def _refuse(self, interpreter: Interpreter) -> None:
        from tidemill.engines.process.runner import say  # which imports this module

        if len(self._refused) > REFUSED_MAX:
            self._refused.clear()
        self._refused[interpreter.key] = time.monotonic() + REFUSED_S
        say(
            f"The jobs of {interpreter.key[2]} in {interpreter.key[1]} start an interpreter each "
            f"for {REFUSED_S:g} s, as none could be kept warm for them: {interpreter.complaint}"
        )

    def _tire(self, interpreter: Interpreter) -> None:
        """Retire it when it has been idle for long enough, else look again later."""
        rest_s = interpreter.used_at + IDLE_S - time.monotonic()
        if interpreter.is_idle and rest_s <= 0:
            self._retire(interpreter)
        else:
            delay_s = max(rest_s, 1.0)
            interpreter.timer = self._poll.after(delay_s, lambda: self._tire(interpreter))

    def _send(self, interpreter: Interpreter) -> bool:
        """Hand over some attempts in one packet; False when it takes no more for now."""
        packet: list[bytes] = []
        runs: list[Run] = []
        room_bytes = PACKET_BYTES_MAX
        for run in list(interpreter.waiting.values())[:PACKET_RUNS_MAX]:
            text = _encoder.encode(_assignment(run.order))
            if len(text) > PACKET_BYTES_MAX:
                del interpreter.waiting[run.order.attempt_id]
                self._owner.fell_cold(run)
            elif len(text) <= room_bytes:
                room_bytes -= len(text) + 1
                packet.append(text)
                runs.append(run)
            else:
                break
        return not runs or self._transmit(interpreter, b"[" + b",".join(packet) + b"]", runs)

    def _transmit(self, interpreter: Interpreter, packet: bytes, runs: list[Run]) -> bool:
        outputs: list[int] = []
        try:
            outputs.extend(map(self._owner.open_output, runs))
            socket.send_fds(interpreter.sock, [packet], outputs)
        except (OSError, SpawnError):  # busy or dying: its next word or its death goes on from here
            for run in runs:
                self._owner.close_output(run)
            return False
        finally:
            for output in outputs:
                os.close(output)
        for run in runs:
            del interpreter.waiting[run.order.attempt_id]
            interpreter.live[run.order.attempt_id] = run
        return True

    def _read(self, interpreter: Interpreter) -> None:
        while interpreter.sock.fileno() >= 0:
            try:
                packet = interpreter.sock.recv(PACKET_BYTES_MAX * 2)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            try:
                for word in _decoder.decode(packet):
                    self._hear(interpreter, word)
            except (msgspec.MsgspecError, KeyError):  # hung up, or a module wrote to its socket
                kill(interpreter.pid)  # its death is what the rest follows from
                if interpreter.sock.fileno() >= 0:
                    self._poll.remove(interpreter.sock.fileno())
                    interpreter.sock.close()
                return

    def _hear(self, interpreter: Interpreter, word: Ready | Failed | Forked | Ended) -> None:
        match word:
            case Ready():
                interpreter.is_ready = True
                interpreter.files = word.files
                if interpreter.timer is not None:
                    interpreter.timer.cancel()
                self._tire(interpreter)
            case Failed():
                interpreter.complaint = word.reason
                kill(interpreter.pid)
            case Forked():
                self._owner.forked(interpreter.live[word.attempt_id], word.pid, word.at_ms)
            case Ended():
                run = interpreter.live.pop(word.attempt_id)
                interpreter.used_at = time.monotonic()
                self._owner.exited(run, word.status, word.cpu_s, word.memory_peak_bytes)
                if interpreter.is_idle and self._current.get(interpreter.key) is not interpreter:
                    self._close(interpreter)


def _key(order: Order) -> Key:
    submitted = frozenset(
        item for item in order.environment.items() if not item[0].startswith(_PER_ATTEMPT)
    )
    return (order.command[0], order.working_directory, order.command[3], submitted)


def _assignment(order: Order) -> tuple[str, list[str], dict[str, str]]:
    """(attempt id, arguments, what of its environment is its own)."""
    own = {
        name: value for name, value in order.environment.items() if name.startswith(_PER_ATTEMPT)
    }
    own[ATTEMPT] = order.attempt_id
    return order.attempt_id, order.command[3:], own


def _has_changed(path: str, mtime_ns: int, size: int) -> bool:
    try:
        found = os.stat(path)  # noqa: PTH116 - light
    except OSError:
        return True
    return (found.st_mtime_ns, found.st_size) != (mtime_ns, size)
