"""How many attempts an engine may hold beyond its room, so that short jobs never wait for us.

Between the end of one attempt and the start of the next lie a decision and a commit. Where jobs
last milliseconds that gap would idle the machine, so the engine is handed about as many attempts
more as it has just ended in a tenth of a second. Where jobs are long the number is zero, and no
job is ever bound to a place more than about that long before it starts there.
"""

from __future__ import annotations

WINDOW_MS = 100
LOOK_AHEAD_MAX = 256


class Pace:
    """Counts ends per window of 100 ms; remembers the present window and the one before."""

    __slots__ = ("_before", "_now", "_window")

    def __init__(self) -> None:
        self._window = 0
        self._now = 0
        self._before = 0

    def count_end(self, mono_ms: int) -> None:
        """Note that an attempt ended."""
        self._turn(mono_ms)
        self._now += 1

    def allowance(self, mono_ms: int) -> int:
        """How many attempts may be held beyond the room at this moment."""
        self._turn(mono_ms)
        return min(LOOK_AHEAD_MAX, max(self._before, self._now))

    def _turn(self, mono_ms: int) -> None:
        window = mono_ms // WINDOW_MS
        if window != self._window:
            self._before = self._now if window == self._window + 1 else 0
            self._now = 0
            self._window = window
