"""Batch's entries in the events feed: compact when they are written, AWS's shape when wanted.

One entry tells of all states that a job passed through in one batch of messages, or that many
children of one array passed through alike; `steps` takes it apart into AWS's events again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
_UNDER_WAY: Final = (State.STARTING, State.RUNNING)


class _StateChange(msgspec.Struct, rename="camel", omit_defaults=True):
    id: str
    path: tuple[int, ...]
    indexes: Ranges | None = None
    attempts: int = 0


class _QueueBlocked(msgspec.Struct, rename="camel"):
    id: str
    queue: str
    reason: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One change of state: this job, or this child of an array, came to this state.

    `ended` counts its attempts that had ended by then.
    """

    job_id: str
    state: State
    ended: int = 0


_encode = msgspec.json.Encoder().encode
_decode_change = msgspec.json.Decoder(_StateChange).decode
_decode_blocked = msgspec.json.Decoder(_QueueBlocked).decode


def state_change(
    job_id: str, path: Sequence[State], indexes: Ranges | None = None, attempts: int = 0
) -> Event:
    """The entry that says: the job, or these children of it, came to each state of `path`.

    `attempts` is how many had begun when it came to the last of them.
    """
    change = _StateChange(job_id, tuple(path), indexes, attempts)
    return Event(SOURCE, JOB_STATE_CHANGE, _encode(change))


def queue_blocked(job_id: str, queue: str, reason: str, attempts: int = 0) -> Event:
    """The entry that says: `job_id` at the head of `queue` holds back what is behind it."""
    return Event(SOURCE, QUEUE_BLOCKED, _encode(_QueueBlocked(job_id, queue, reason, attempts)))


def steps(body: bytes) -> Iterator[Step]:
    """The changes that a `JobStateChange` tells of, each job's own in order."""
    change = _decode_change(body)
    path = [State(number) for number in change.path]
    counts = _ended_counts(path, change.attempts)
    for job_id in _ids(change):
        for state, ended in zip(path, counts, strict=True):
            yield Step(job_id, state, ended)


def state_change_detail(step: Step, job_detail: Mapping[str, Any]) -> dict[str, Any]:
    """The `detail` of a `Batch Job State Change`: DescribeJobs' answer, as of that state.

    `job_detail` is that answer by now: what came to the job after that state is left out.
    """
    return {**_as_of(step, job_detail), "jobId": step.job_id, "status": step.state.name}


def blocking_job(body: bytes) -> tuple[str, str]:
    """The id of the job that a `JobQueueBlocked` is about, and the name of its queue."""
    blocked = _decode_blocked(body)
    return blocked.id, blocked.queue


def queue_blocked_detail(body: bytes, job_detail: Mapping[str, Any]) -> dict[str, Any]:
    """The `detail` of a `Batch Job Queue Blocked`: the blocking job as it was, and why it blocks.

    An array's parent is PENDING while a child of it is at the head.
    """
    blocked = _decode_blocked(body)
    is_array = "size" in job_detail.get("arrayProperties", {})
    step = Step(blocked.id, State.PENDING if is_array else State.RUNNABLE, blocked.attempts)
    detail = state_change_detail(step, job_detail)
    return {**detail, "statusReason": blocked.reason}


def _ended_counts(path: Sequence[State], attempts: int) -> list[int]:
    """For each state of `path`, how many of the attempts begun by its end had ended by then."""
    counts = []
    for at, state in enumerate(path):
        begun = attempts - path[at + 1 :].count(State.STARTING)
        counts.append(begun - (state in _UNDER_WAY))
    return counts


def _as_of(step: Step, job_detail: Mapping[str, Any]) -> dict[str, Any]:
    detail = dict(job_detail)
    if step.state >= State.SUCCEEDED or "status" not in detail:
        return detail
    attempts, ended = detail["attempts"], step.ended
    if detail["status"] == step.state.name and ended == len(attempts):
        return detail
    under_way = attempts[ended] if ended < len(attempts) else {}
    detail["attempts"] = attempts[:ended]
    for member in ("statusReason", "stoppedAt"):
        detail.pop(member, None)
    detail.update(dict.fromkeys(("isCancelled", "isTerminated"), False))
    if step.state < State.RUNNING:
        detail.pop("startedAt", None)
    elif "startedAt" in under_way:
        detail["startedAt"] = under_way["startedAt"]
    stream = under_way.get("container", {}).get("logStreamName")
    _rewind_containers(detail, stream, has_run=step.state >= State.RUNNING)
    return detail


def _rewind_containers(detail: dict[str, Any], stream: str | None, *, has_run: bool) -> None:
    """Have the containers tell of no end, and of no output before they ran."""

    def rewound(container: Mapping[str, Any]) -> dict[str, Any]:
        found = {k: v for k, v in container.items() if k not in ("exitCode", "reason")}
        if not has_run:
            found.pop("logStreamName", None)
        elif stream is not None:
            found["logStreamName"] = stream
        return found

    if "container" in detail:
        detail["container"] = rewound(detail["container"])
    if "ecsProperties" in detail:
        tasks = detail["ecsProperties"]["taskProperties"]
        detail["ecsProperties"] = {
            "taskProperties": [
                {**task, "containers": [rewound(each) for each in task["containers"]]}
                for task in tasks
            ]
        }


def _ids(change: _StateChange) -> Iterator[str]:
    if change.indexes is None:
        yield change.id
        return
    for first, last in change.indexes:
        for index in range(first, last + 1):
            yield f"{change.id}:{index}"
