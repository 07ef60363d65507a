"""The runner: a small process of its own that runs jobs, and outlives the server.

Started by `ProcessEngine` as `python -m tidemill.engines.process.runner FOLDER LOG_FOLDER`, one a
folder. Single-threaded: it waits in one epoll for its server, the output of its jobs, their ends
and its timers. It exits by itself when it has run nothing and heard of no server for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tidemill.engines.process import ghost, journal, proc
from tidemill.engines.process.journal import Head, Journal
from tidemill.engines.process.listen import Listener
from tidemill.engines.process.poll import Poll, Timer
from tidemill.engines.process.protocol import READY, FrameError, Lost
from tidemill.engines.process.spawn import Spawner
from tidemill.engines.process.supervisor import Supervisor
from tidemill.platform.log_writer import LogWriter

LOCK: Final = "runner.lock"
LINGER_S: Final = 10.0
TELL_EVERY_S: Final = 60.0
WORK: Final = "work"
"""Where jobs begin that name no working directory."""
TERM_GRACE_S: Final = 10.0
LOST_REASON: Final = "The runner that had started it died."


class RunnerError(Exception):
    """The runner can't work: one sentence."""


def main(folder: Path, log_folder: Path) -> None:
    """Run until there is nothing to do; at once when another runner has the folder."""
    os.closerange(3, 65536)
    if os.fork():  # so that it is no child of the server, which need not wait for it then
        os._exit(0)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    poll = Poll()
    supervisor = inherit(folder, log_folder, poll)
    listener = Listener(folder, poll, supervisor)
    heed_signals(poll, supervisor, listener)
    os.write(1, READY)
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()
    serve(poll, supervisor, listener)
    listener.close()
    supervisor.close()


def inherit(folder: Path, log_folder: Path, poll: Poll) -> Supervisor:
    """Bring to an end what earlier runners left, and begin with what they recorded."""
    try:
        past = journal.read(folder)
    except (msgspec.MsgspecError, FrameError) as error:
        raise RunnerError(
            f"{folder / journal.FILE} can't be read ({error}): it is damaged, or another version "
            f"of Tidemill wrote it; start that version once with no jobs running, or move the "
            f"file away, which gives up the jobs that ran"
        ) from None
    now_ms = time.time_ns() // 1_000_000
    head = Head(proc.boot_id(), os.urandom(16).hex(), 0)
    if past.head is not None:
        if past.head.boot_id == head.boot_id:
            ghost.lay(past)
        head = Head(head.boot_id, past.head.mark, past.head.epoch)
    ended = {
        end.attempt_id: end for end in past.ended.values() if end.at_ms > now_ms - journal.KEEP_MS
    }
    for attempt_id in past.open:
        ended[attempt_id] = Lost(attempt_id, now_ms, LOST_REASON)
    (folder / WORK).mkdir(exist_ok=True)
    return Supervisor(
        poll,
        LogWriter(log_folder),
        Spawner(folder / WORK),
        Journal(folder, [head, *ended.values()]),
        head,
        ended,
    )


def heed_signals(poll: Poll, supervisor: Supervisor, listener: Listener) -> None:
    """Have the deaths of children wake the loop; SIGTERM ends the jobs and then the runner."""
    wake, written = os.pipe()
    for file in (wake, written):
        os.set_blocking(file, False)

    def heed() -> None:
        numbers = os.read(wake, 4096)
        supervisor.reap_due |= signal.SIGCHLD in numbers
        if signal.SIGTERM in numbers:
            listener.end(TERM_GRACE_S)

    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    poll.add(wake, heed)


class Losses:
    """Says in the runner's log how much output was dropped, once a minute at most."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._told_bytes = 0
        self._tell_at = 0.0

    def tell(self) -> None:
        """Say what was not said yet, if it is time to."""
        lost_bytes = self._supervisor.lost_bytes
        if lost_bytes > self._told_bytes and time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_EVERY_S
            say(
                f"The log files can't be written (is the disk full?): {lost_bytes} bytes of "
                f"jobs' output were dropped since the runner's start"
            )
            self._told_bytes = lost_bytes


def serve(poll: Poll, supervisor: Supervisor, listener: Listener) -> None:
    """Turn until there is nothing more to do, and nobody who might ask for anything."""
    losses = Losses(supervisor)
    linger: Timer | None = None
    while True:
        if listener.is_ending and supervisor.is_idle:
            listener.report(supervisor.outbox.take(all_of_it=True))
            return
        if listener.is_connected or not supervisor.is_idle:
            if linger is not None:
                linger.cancel()
                linger = None
        elif linger is not None and linger.callback is None:
            return
        elif linger is None:
            linger = poll.after(LINGER_S, lambda: None)
        poll.wait()
        has_turned = supervisor.turn()
        losses.tell()
        if has_turned:
            listener.report(supervisor.outbox.take(is_fed=supervisor.pools.is_fed))


def say(sentence: str) -> None:
    """Write a line to the runner's log, if that takes any."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    with contextlib.suppress(OSError):
        print(f"{moment} {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - it is its log


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except (RunnerError, ghost.GhostError, OSError) as failure:
        say(str(failure))
        sys.exit(1)
