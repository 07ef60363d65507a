"""What time it is, said twice: as the calendar says it and as durations are measured.

Records carry the wall time; deadlines are measured on the monotonic time, so that a clock that
is set back or forward neither fires nor holds up anything. A core never reads a clock: each call
is handed a `Now`. `VirtualClock` moves only when a test moves it.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """One moment: `wall_ms` since the Unix epoch, `mono_ms` on a clock that only goes forward."""

    wall_ms: int
    mono_ms: int


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget it; harmless when it has fired."""


class Clock(Protocol):
    """Where the loop learns the time and has itself woken."""

    def now(self) -> Now:
        """The present moment."""

    def call_at(self, mono_ms: int, callback: Callable[[], object]) -> Timer:
        """Call back once `now().mono_ms` has reached `mono_ms`, never before."""


class RealClock:
    """The machine's own clocks; wake-ups come from the running asyncio loop."""

    def now(self) -> Now:
        """The present moment by the machine's clocks."""
        return Now(
            wall_ms=time.time_ns() // 1_000_000,
            mono_ms=time.monotonic_ns() // 1_000_000,
        )

    def call_at(self, mono_ms: int, callback: Callable[[], object]) -> Timer:
        """Call back from the asyncio loop; rounded up, so that it is never early."""
        delay_s = max(0.0, (mono_ms * 1_000_000 - time.monotonic_ns()) / 1e9) + 0.000_5
        return asyncio.get_running_loop().call_later(delay_s, callback)


class VirtualClock:
    """Time that stands still until `advance` is called; both clocks move together."""

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self._wall_ms = wall_ms
        self._mono_ms = 0
        self._timers: list[_VirtualTimer] = []

    def now(self) -> Now:
        """The moment reached so far."""
        return Now(wall_ms=self._wall_ms, mono_ms=self._mono_ms)

    def call_at(self, mono_ms: int, callback: Callable[[], object]) -> Timer:
        """Call back from within the `advance` that reaches `mono_ms`."""
        timer = _VirtualTimer(mono_ms, callback)
        heapq.heappush(self._timers, timer)
        return timer

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest timer is due, or None: how far a test may jump without missing one."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0].due_ms if self._timers else None

    def advance(self, by_ms: int) -> None:
        """Move forward by `by_ms` milliseconds, firing what falls due; time never goes back."""
        assert by_ms >= 0
        self._wall_ms += by_ms
        self._mono_ms += by_ms
        while (due_ms := self.next_due_ms) is not None and due_ms <= self._mono_ms:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()


class _VirtualTimer:
    __slots__ = ("callback", "due_ms")

    def __init__(self, due_ms: int, callback: Callable[[], object]) -> None:
        self.due_ms = due_ms
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: _VirtualTimer) -> bool:
        return self.due_ms < other.due_ms
