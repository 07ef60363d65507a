"""What time it is, said twice: as the calendar says it and as durations are measured.

Records carry the wall time; deadlines are measured on the monotonic time, so that a clock that
is set back or forward neither fires nor holds up anything. A core never reads a clock: each call
is handed a `Now`. `VirtualClock` moves only when a test moves it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """One moment: `wall_ms` since the Unix epoch, `mono_ms` on a clock that only goes forward."""

    wall_ms: int
    mono_ms: int


class Clock(Protocol):
    """Where the loop learns the time."""

    def now(self) -> Now:
        """The present moment."""


class RealClock:
    """The machine's own clocks."""

    def now(self) -> Now:
        """The present moment by the machine's clocks."""
        return Now(
            wall_ms=time.time_ns() // 1_000_000,
            mono_ms=time.monotonic_ns() // 1_000_000,
        )


class VirtualClock:
    """Time that stands still until `advance` is called; both clocks move together."""

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self._wall_ms = wall_ms
        self._mono_ms = 0

    def now(self) -> Now:
        """The moment reached so far."""
        return Now(wall_ms=self._wall_ms, mono_ms=self._mono_ms)

    def advance(self, by_ms: int) -> None:
        """Move forward by `by_ms` milliseconds; time never goes back."""
        assert by_ms >= 0
        self._wall_ms += by_ms
        self._mono_ms += by_ms
