"""The heads of queues: told of when they block, cancelled when the queue's rules say so.

A head that can never run is told of at once (`Batch Job Queue Blocked`), one that waits for room
after ten minutes: a busy queue always has a head that waits. jobStateTimeLimitActions cancel a
head that has waited for too long with a statusReason that begins as the action's reason does
(AWS Batch user guide, "Jobs stuck in a RUNNABLE status").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidemill.platform.clock import Now
from tidemill.services.batch.queue import TimeLimit
from tidemill.services.batch.scheduling.spec import Blocked

TOLD_AFTER_MS: Final = 600_000
LOOK_EVERY_MS: Final = 1_000
_AT_ONCE: Final = ("MISCONFIGURATION:", "ACTION_REQUIRED")

Limits = Callable[[str], Sequence[TimeLimit]]
"""The jobStateTimeLimitActions of a queue."""


@dataclass(slots=True)
class Found:
    """What a look at the heads found: (job id, its statusReason from now on); and whom to tell."""

    cancelled: list[tuple[str, str]] = field(default_factory=list)
    told: list[Blocked] = field(default_factory=list)


class Heads:
    """Remembers which heads have been told of, and when to look again."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._looked_ms: int | None = None
        self._due_ms: int | None = None

    @property
    def next_look_ms(self) -> int | None:
        """When a head falls due, if heads stay what they are."""
        return self._due_ms

    def is_due(self, mono_ms: int, has_changed: bool) -> bool:
        """Whether to look now; what changes often is looked at once a second."""
        if self._due_ms is not None and mono_ms >= self._due_ms:
            return True
        if not has_changed:
            return False
        if self._looked_ms is None or mono_ms >= self._looked_ms + LOOK_EVERY_MS:
            return True
        soon_ms = self._looked_ms + LOOK_EVERY_MS
        self._due_ms = soon_ms if self._due_ms is None else min(self._due_ms, soon_ms)
        return False

    def look(self, blocked: Sequence[Blocked], limits: Limits, now: Now) -> Found:
        """Find what is due at `now`, and when something will be next."""
        found = Found()
        self._looked_ms = now.mono_ms
        self._due_ms = None
        self._told = {b.queue: b.job_id for b in blocked if self._told.get(b.queue) == b.job_id}
        for head in blocked:
            self._look_at(head, limits(head.queue), now, found)
        return found

    def _look_at(self, head: Blocked, limits: Sequence[TimeLimit], now: Now, found: Found) -> None:
        since_ms = head.since.mono_ms
        if self._told.get(head.queue) != head.job_id:
            told_ms = since_ms if head.reason.startswith(_AT_ONCE) else since_ms + TOLD_AFTER_MS
            if self._has_come(told_ms, now):
                self._told[head.queue] = head.job_id
                found.told.append(head)
        for limit in limits:
            if not head.reason.startswith(limit.reason):
                continue
            if self._has_come(since_ms + limit.max_time_s * 1000, now):
                found.cancelled.append((head.job_id, _cancelled(head, limit)))
                return

    def _has_come(self, due_ms: int, now: Now) -> bool:
        if due_ms <= now.mono_ms:
            return True
        self._due_ms = due_ms if self._due_ms is None else min(self._due_ms, due_ms)
        return False


def _cancelled(head: Blocked, limit: TimeLimit) -> str:
    return (
        f"{head.reason}; cancelled by the queue's jobStateTimeLimitActions after "
        f"{limit.max_time_s} s at its head"
    )
