"""How many jobs end each second, worked out from listings that were read over the last minute.

Jobs of their own tell when they ended. An array's children are counted by their parent, so they
are told by how much that count has grown since it was last seen.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from tidemill.cli.explain import ENDED, ended, size

WINDOW_MS: Final = 60_000
Job = dict[str, Any]


class Rate:
    """Jobs that ended in the last minute; `start_ms` is when the looking began."""

    def __init__(self, start_ms: float) -> None:
        self._start_ms = start_ms
        self._counts: dict[str, int] = {}
        self._grown: deque[tuple[float, int]] = deque()
        self._alone: dict[tuple[str, str], float] = {}

    def see(self, jobs: list[Job], now_ms: float) -> None:
        """Take note of the arrays in a listing, however far they are."""
        for job in jobs:
            if not size(job):
                continue
            over = ended(job)
            before = self._counts.get(job["jobId"])
            if before is None:  # what it did before anybody looked is not known
                before = 0 if job["createdAt"] >= self._start_ms else over
            if over > before:
                self._grown.append((now_ms, over - before))
            self._counts[job["jobId"]] = over

    def see_ended(
        self, queue: str, status: str, jobs: list[Job], *, has_more: bool, now_ms: float
    ) -> None:
        """Take note of a queue's newest jobs that ended so."""
        assert status in ENDED
        self.see(jobs, now_ms)
        alone = [job["stoppedAt"] for job in jobs if not size(job) and job.get("stoppedAt")]
        recent = [at_ms for at_ms in alone if at_ms > now_ms - WINDOW_MS]
        # A page that is full of the last minute's does not reach back over all of it.
        is_cut = has_more and recent and len(recent) == len(alone)
        span_ms = max(now_ms - min(recent), 1000) if is_cut else WINDOW_MS
        self._alone[queue, status] = len(recent) / span_ms * 1000

    def per_s(self, now_ms: float) -> float:
        """Jobs that ended per second, over the last minute."""
        while self._grown and self._grown[0][0] < now_ms - WINDOW_MS:
            self._grown.popleft()
        looked_ms = min(max(now_ms - self._start_ms, 1000), WINDOW_MS)
        children = sum(count for _, count in self._grown) / looked_ms * 1000
        return children + sum(self._alone.values())
