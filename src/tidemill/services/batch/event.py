"""Batch's entries in the events feed: compact when they are written, AWS's shape when wanted.

One entry tells of all states that a job passed through in one batch of messages, or that many
children of one array passed through alike; `steps` takes it apart into AWS's events again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidemill.platform.core import Event
from tidemill.services.batch.state import State

SOURCE: Final = "batch"
JOB_STATE_CHANGE: Final = "JobStateChange"
QUEUE_BLOCKED: Final = "JobQueueBlocked"

DETAIL_TYPES: Final = {
    JOB_STATE_CHANGE: "Batch Job State Change",
    QUEUE_BLOCKED: "Batch Job Queue Blocked",
}
"""EventBridge's `detail-type` of each kind; the `source` of all is `aws.batch`."""

Ranges = Sequence[tuple[int, int]]


class _StateChange(msgspec.Struct, rename="camel", omit_defaults=True):
    id: str
    path: tuple[int, ...]
    indexes: Ranges | None = None


class _QueueBlocked(msgspec.Struct, rename="camel"):
    id: str
    queue: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One AWS event: this job, or this child of an array, came to this state."""

    job_id: str
    state: State


_encode = msgspec.json.Encoder().encode
_decode_change = msgspec.json.Decoder(_StateChange).decode
_decode_blocked = msgspec.json.Decoder(_QueueBlocked).decode


def state_change(job_id: str, path: Sequence[State], indexes: Ranges | None = None) -> Event:
    """The entry that says: the job, or these children of it, came to each state of `path`."""
    change = _StateChange(job_id, tuple(path), indexes)
    return Event(SOURCE, JOB_STATE_CHANGE, _encode(change))


def queue_blocked(job_id: str, queue: str, reason: str) -> Event:
    """The entry that says: `job_id` at the head of `queue` holds back what is behind it."""
    return Event(SOURCE, QUEUE_BLOCKED, _encode(_QueueBlocked(job_id, queue, reason)))


def steps(body: bytes) -> Iterator[Step]:
    """The AWS events of a `JobStateChange`, each job's own in order."""
    change = _decode_change(body)
    for job_id in _ids(change):
        for number in change.path:
            yield Step(job_id, State(number))


def state_change_detail(step: Step, job_detail: dict[str, Any]) -> dict[str, Any]:
    """The `detail` of a `Batch Job State Change`: DescribeJobs' answer, as of that state."""
    return {**job_detail, "jobId": step.job_id, "status": step.state.name}


def queue_blocked_detail(body: bytes, job_detail: dict[str, Any]) -> dict[str, Any]:
    """The `detail` of a `Batch Job Queue Blocked`: the blocking job, and why it blocks."""
    blocked = _decode_blocked(body)
    return {**job_detail, "jobId": blocked.id, "statusReason": blocked.reason}


def _ids(change: _StateChange) -> Iterator[str]:
    if change.indexes is None:
        yield change.id
        return
    for first, last in change.indexes:
        for index in range(first, last + 1):
            yield f"{change.id}:{index}"
