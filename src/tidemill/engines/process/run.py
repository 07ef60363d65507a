"""An attempt that has left its pool's row: its process, its output, how it is to end."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

from tidemill.engines.process.poll import Timer
from tidemill.engines.process.protocol import Exited, Order
from tidemill.platform.log_writer import LogStream

CHUNK_BYTES: Final = 64 * 1024
"""What is read of one attempt's output in one wake-up, so that a torrent holds up nobody."""
DRAIN_BYTES_MAX: Final = 1024 * 1024
"""What is read at the end at most: a pipe holds no more, what wrote to it is dead."""
OOM_REASON: Final = "OutOfMemoryError: Container killed due to memory usage"


class Run:
    """One attempt under way; `pid` is 0 until its process is known."""

    __slots__ = (
        "adopted",
        "boot_ticks",
        "is_watched",
        "kill_timer",
        "memory_peak_bytes",
        "order",
        "out_of_memory",
        "output",
        "pid",
        "started_ms",
        "stop_grace_s",
        "stream",
    )

    def __init__(self, order: Order, stream: LogStream) -> None:
        self.order = order
        self.stream = stream
        self.output = -1
        self.is_watched = False
        self.pid = 0
        self.boot_ticks = 0
        self.started_ms: int | None = None
        self.stop_grace_s: float | None = None
        self.kill_timer: Timer | None = None
        self.out_of_memory = False
        self.memory_peak_bytes = 0
        self.adopted: set[int] = set()
        """Descendants that outlived their parents, which are the runner's own children now."""

    def read(self, now_ms: int) -> bool:
        """Take over one chunk of output; False when its last writer has closed it."""
        try:
            data = os.read(self.output, CHUNK_BYTES)
        except BlockingIOError:
            return True
        if data:
            self.stream.append(now_ms, data)
        return bool(data)

    def drain(self, now_ms: int) -> None:
        """Take over what output is left."""
        left_bytes = DRAIN_BYTES_MAX
        while left_bytes > 0:
            try:
                data = os.read(self.output, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self.stream.append(now_ms, data)
            left_bytes -= len(data)

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group; harmless when it has gone."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # forked, but without a group of its own yet
            kill(self.pid, number)
        except PermissionError:  # it has become another user's, by sudo or the like
            return

    def kill(self) -> None:
        """End the process group and all descendants that left it, as far as they are known."""
        self.signal(signal.SIGKILL)
        self.kill_adopted()

    def kill_adopted(self) -> None:
        """End the descendants that have outlived their parents."""
        for pid in self.adopted:
            kill(pid)
        self.adopted.clear()

    def exited(self, at_ms: int, status: int, cpu_s: float, memory_peak_bytes: int) -> Exited:
        """The report of the attempt's end; `status` is as wait(2) gives it."""
        code = os.waitstatus_to_exitcode(status)
        return Exited(
            attempt_id=self.order.attempt_id,
            at_ms=at_ms,
            exit_code=137 if self.out_of_memory else code if code >= 0 else 128 - code,
            started_at_ms=self.started_ms,
            reason=OOM_REASON if self.out_of_memory else "",
            cpu_s=cpu_s,
            memory_peak_bytes=max(self.memory_peak_bytes, memory_peak_bytes),
        )


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Signal one process; harmless when it has gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
