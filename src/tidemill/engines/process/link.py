"""The server's end of the connection to the runner, and how a runner is started."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from tidemill.engines.process.protocol import (
    READY,
    Answer,
    Exited,
    FrameError,
    Frames,
    Lost,
    Refused,
    Report,
    Started,
    Welcome,
    frame,
)

RUNNER: Final = "tidemill.engines.process.runner"
LOG: Final = "runner.log"
LAUNCH_S: Final = 40.0
"""How long a runner may take until it listens: its predecessor's jobs must be gone first."""
LOG_BYTES_MAX: Final = 1024 * 1024

_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
_decoder: Final = msgspec.msgpack.Decoder(list[Answer])


class Link(asyncio.Protocol):
    """One connection; what is sent in one turn of the loop goes out as one frame."""

    def __init__(self, hear: Callable[[Sequence[Report]], None]) -> None:
        loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Welcome | Refused | None] = loop.create_future()
        """What the runner says to our hello; None when it hangs up."""
        self.closed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._hear = hear
        self._frames = Frames()
        self._unsent: list[Any] = []
        self._transport: asyncio.Transport | None = None
        self._runner_pid = 0

    def send(self, message: Any) -> None:
        """Send `message` with whatever else this turn of the loop brings."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(message)

    def close(self) -> None:
        """Hang up, after what was sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    async def runner_gone(self) -> None:
        """Return when the runner's process has ended."""
        self._flush()
        try:
            file = os.pidfd_open(self._runner_pid)
        except ProcessLookupError:
            return
        gone: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(file, _resolve, gone)
        try:
            await gone
        finally:
            self._loop.remove_reader(file)
            os.close(file)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._flush()

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        try:
            for body in self._frames.feed(data):
                self._take(_decoder.decode(body))
        except (FrameError, msgspec.MsgspecError):
            self.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        """From asyncio."""
        self._unsent.clear()
        if not self.answer.done():
            self.answer.set_result(None)
        self.closed.set_result(None)

    def _flush(self) -> None:
        if self._unsent and self._transport is not None and not self._transport.is_closing():
            messages, self._unsent = self._unsent, []
            self._transport.write(frame(messages))

    def _take(self, answers: list[Answer]) -> None:
        reports: list[Report] = []
        for answer in answers:
            if isinstance(answer, Started | Exited | Lost):
                reports.append(answer)
                continue
            if isinstance(answer, Welcome):
                self._runner_pid = answer.pid
            if not self.answer.done():
                self.answer.set_result(answer)
        if reports:
            self._hear(reports)


async def launch(folder: Path, log_folder: Path) -> str:
    """Start a runner, detached from this process; return when it listens or has given up.

    Empty, or the last that it has written to its log instead of listening. One that finds another
    runner at work gives up without a word.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[None] = loop.create_future()
    log_size = _log_size(folder)
    ready, written = os.pipe()
    try:
        pid = _spawn(folder, log_folder, written)
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(written)
    loop.add_reader(ready, _resolve, heard)
    try:
        await asyncio.wait_for(heard, LAUNCH_S)
        return "" if os.read(ready, len(READY)) else _last_word(folder, log_size)
    except TimeoutError:
        return ""
    finally:
        loop.remove_reader(ready)
        os.close(ready)
        _reap(pid)


def _log_size(folder: Path) -> int:
    try:
        return (folder / LOG).stat().st_size
    except FileNotFoundError:
        return 0


def _last_word(folder: Path, start: int) -> str:
    """The last line of the runner's log after `start`, without its time."""
    data = (folder / LOG).read_bytes()
    # A log that has grown too large was begun anew.
    lines = data[start if start <= len(data) else 0 :].decode("utf-8", "replace").splitlines()
    return _STAMP.sub("", lines[-1]) if lines else ""


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _reap(pid: int) -> None:
    """Take in the process that was spawned: the runner is its child, and it ended at once."""
    os.waitpid(pid, 0)


def _spawn(folder: Path, log_folder: Path, ready: int) -> int:
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(log).st_size > LOG_BYTES_MAX:
            os.ftruncate(log, 0)
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", RUNNER, *map(os.path.abspath, (folder, log_folder))],
            os.environ,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, ready, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ),
            setsid=True,
            setsigmask=(),
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    finally:
        os.close(log)
