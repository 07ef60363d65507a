"""Watching jobs from outside: what DescribeJobs says, asked as seldom as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.sdk.client import Connection, patience
from tidemill.sdk.error import TidemillError

ENDED: Final = frozenset({"SUCCEEDED", "FAILED"})
ORDER: Final = (
    *("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED"),
)
"""AWS's states, as a job passes through them."""
_ASKED_MAX: Final = 100
_PAUSE_MIN_S: Final = 0.004
_PAUSE_MAX_S: Final = 1.0
_PAUSE_SHARE: Final = 0.1  # of the time waited so far, so that a short job is not waited for long
_PATIENCE_S: Final = 20.0
_SEEN_EVERY_S: Final = 0.1
_HEEDED_S: Final = 1.0
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
    """The job now; `TidemillError` when the service does not know it."""
    (sight,) = look_at(connection, [job_id])
    return sight


def look_at(connection: Connection, job_ids: Sequence[str]) -> list[Sight]:
    """The jobs now, in the order of their ids; `TidemillError` names one that is not known."""
    found: dict[str, Sight] = {}
    for start in range(0, len(job_ids), _ASKED_MAX):
        for detail in connection.sender.describe_jobs(job_ids[start : start + _ASKED_MAX]):
            found[detail["jobId"]] = _sight(detail)
    missing = next((job_id for job_id in job_ids if job_id not in found), None)
    if missing is not None:
        raise TidemillError(
            f"There is no job {missing}; finished ones are removed after the days of --keep."
        )
    return [found[job_id] for job_id in job_ids]


def children(connection: Connection, job_id: str, status: str) -> Iterator[dict[str, Any]]:
    """An array's children in one state, as ListJobs gives them: with reason and exit code."""
    pages = connection.client("batch").get_paginator("list_jobs")
    for page in pages.paginate(arrayJobId=job_id, jobStatus=status):
        yield from page["jobSummaryList"]


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
    look: Callable[[], Sight],
    timeout_s: float | None,
    seen: Callable[[Sight], None] | None = None,
    heed: Callable[[Sight], None] | None = None,
) -> Sight:
    """Wait until what `look` sees has ended; the last sight also when `timeout_s` passes first.

    `seen` is told of each change soon; `heed` of what there is to see after a second, and now and
    then.
    """
    start_s = time.monotonic()
    pace = Pace(connection)
    while True:
        asked_s = time.monotonic()
        waited_s = asked_s - start_s
        pause_s = pace.pause_s()
        patience_s = _PATIENCE_S if seen is None else max(pause_s, _SEEN_EVERY_S)
        if heed is not None and waited_s < _HEEDED_S:
            patience_s = min(patience_s, _HEEDED_S)
        if timeout_s is not None:
            patience_s = min(patience_s, max(0.0, timeout_s - waited_s))
        with patience(patience_s):
            sight = look()
        if seen is not None:
            seen(sight)
        if heed is not None:
            heed(sight)
        answered_s = time.monotonic()
        waited_s = answered_s - start_s
        if sight.has_ended or (timeout_s is not None and waited_s >= timeout_s):
            return sight
        if answered_s - asked_s < patience_s / 2:  # nobody waits there: so one has to ask again
            time.sleep(pause_s if timeout_s is None else min(pause_s, timeout_s - waited_s))


class Pace:
    """Pauses between looks that grow with the time waited, up to the longest."""

    def __init__(self, connection: Connection) -> None:
        on_ours = (_PAUSE_MIN_S, _PAUSE_MAX_S)
        self._shortest_s, self._longest_s = _PAUSE_ON_AWS_S if connection.is_aws else on_ours
        self._start_s = time.monotonic()

    def pause_s(self) -> float:
        """How long to wait now before the next look."""
        waited_s = time.monotonic() - self._start_s
        return min(max(self._shortest_s, waited_s * _PAUSE_SHARE), self._longest_s)
