"""What the server is to be told.

A start waits a little before it is: the end of a short job says it all. When there is much to
tell, it is told every few milliseconds, as each message wakes the server and has it commit; the
more seldom while attempts are at hand that start meanwhile. When there is little, it is told at
once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tidemill.engines.process.poll import Poll, Timer
from tidemill.engines.process.protocol import Ended, Report, Started

STARTED_HELD_S: Final = 0.005
GAP_S: Final = 0.002
FED_GAP_S: Final = 0.010


class Outbox:
    """Gathers reports until `take`; `ripened` is called with the attempts whose start is told."""

    def __init__(self, poll: Poll, ripened: Callable[[str], None]) -> None:
        self._poll = poll
        self._ripened = ripened
        self._ready: list[Report] = []
        self._starts: dict[str, tuple[float, Started]] = {}
        self._timer: Timer | None = None
        self._gap: Timer | None = None
        self._told_at = 0.0

    def started(self, attempt_id: str, at_ms: int) -> None:
        """Report a start, unless the end comes first."""
        self._starts[attempt_id] = (time.monotonic() + STARTED_HELD_S, Started(attempt_id, at_ms))
        if self._timer is None:
            self._timer = self._poll.after(STARTED_HELD_S, self._ripen)

    def add(self, report: Report) -> None:
        """Report at the end of this wake-up."""
        self._ready.append(report)

    def ended(self, end: Ended) -> None:
        """Report an end, which carries the start as well."""
        self._starts.pop(end.attempt_id, None)
        self._ready.append(end)

    def take(self, *, is_fed: bool = False, all_of_it: bool = False) -> list[Report]:
        """What is to be sent now, if anything; `is_fed` says that more attempts are at hand."""
        if all_of_it:
            self._told_at = 0.0
        elif not self._ready or (self._gap is not None and self._gap.callback is not None):
            return []
        now_s = time.monotonic()
        wait_s = self._told_at + (FED_GAP_S if is_fed else GAP_S) - now_s
        if wait_s > 0:
            self._gap = self._poll.after(wait_s, _wake)
            return []
        self._told_at = now_s
        ready, self._ready = self._ready, []
        return ready

    def _ripen(self) -> None:
        self._timer = None
        now_s = time.monotonic()
        for attempt_id, (due_s, start) in list(self._starts.items()):
            if due_s > now_s:
                self._timer = self._poll.after(due_s - now_s, self._ripen)
                return
            del self._starts[attempt_id]
            self._ready.append(start)
            self._ripened(attempt_id)


def _wake() -> None:
    """The wake-up is all there is to it: the turn that follows takes what is ready."""
