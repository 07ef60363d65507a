"""Watching a job from outside: what DescribeJobs says, asked as seldom as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tidemill.sdk.client import Connection, patience
from tidemill.sdk.error import TidemillError

ENDED: Final = frozenset({"SUCCEEDED", "FAILED"})
_PAUSE_MIN_S: Final = 0.004
_PAUSE_MAX_S: Final = 1.0
_PAUSE_SHARE: Final = 0.1  # of the time waited so far, so that a short job is not waited for long
_PATIENCE_S: Final = 20.0
_SEEN_EVERY_S: Final = 0.1
_PAUSE_ON_AWS_S: Final = (1.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A job as it was when last asked for; `ended` and `failed` count an array's children."""

    status: str
    why: str
    size: int
    ended: int
    failed: int
    detail: dict[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will change."""
        return self.status in ENDED


def look(connection: Connection, job_id: str) -> Sight:
    """The job now."""
    jobs = connection.client("batch").describe_jobs(jobs=[job_id])["jobs"]
    if not jobs:
        raise TidemillError(
            f"There is no job {job_id}; finished ones are removed after the days of --keep."
        )
    return _sight(jobs[0])


def _sight(detail: dict[str, Any]) -> Sight:
    status = detail["status"]
    array = detail.get("arrayProperties") or {}
    size = int(array.get("size") or 1)
    counts = array.get("statusSummary")
    if counts is None:
        counts = {status: 1}
    failed = counts.get("FAILED", 0)
    return Sight(
        status=status,
        why=detail.get("statusReason", ""),
        size=size,
        ended=failed + counts.get("SUCCEEDED", 0),
        failed=failed,
        detail=detail,
    )


def until_end(
    connection: Connection,
    job_id: str,
    timeout_s: float | None,
    seen: Callable[[Sight], None] | None = None,
) -> Sight:
    """Wait until the job has ended; the last sight of it also when `timeout_s` passes first.

    `seen` is told each time.
    """
    start_s = time.monotonic()
    shortest_s, longest_s = _pauses(connection)
    while True:
        asked_s = time.monotonic()
        waited_s = asked_s - start_s
        pause_s = min(max(shortest_s, waited_s * _PAUSE_SHARE), longest_s)
        patience_s = _PATIENCE_S if seen is None else max(pause_s, _SEEN_EVERY_S)
        if timeout_s is not None:
            patience_s = min(patience_s, max(0.0, timeout_s - waited_s))
        with patience(patience_s):
            sight = look(connection, job_id)
        if seen is not None:
            seen(sight)
        answered_s = time.monotonic()
        waited_s = answered_s - start_s
        if sight.has_ended or (timeout_s is not None and waited_s >= timeout_s):
            return sight
        if answered_s - asked_s < patience_s / 2:  # nobody waits there: so one has to ask again
            time.sleep(pause_s if timeout_s is None else min(pause_s, timeout_s - waited_s))


def _pauses(connection: Connection) -> tuple[float, float]:
    return _PAUSE_ON_AWS_S if connection.is_aws else (_PAUSE_MIN_S, _PAUSE_MAX_S)
