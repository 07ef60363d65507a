"""The part of a job's row that changes: JSON, in AWS's words where AWS has any.

One `Progress` per job, child or node. It holds what DescribeJobs shows of its attempts and what
the core needs to go on after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.job import (
    Finished,
    Phase,
    Stop,
    StopKind,
    UnderWay,
    Unit,
)
from tidemill.services.batch.multinode import MultiNodeJob
from tidemill.services.batch.state import State


class ContainerDetail(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How a container ended and where its output is."""

    exit_code: int | None = None
    reason: str | None = None
    log_stream_name: str | None = None


class Usage(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What an attempt used; ours, AWS has no such member."""

    cpu_seconds: float = 0.0
    memory_peak_bytes: int = 0


_NO_CONTAINER: Final = ContainerDetail()
_NO_USAGE: Final = Usage()
_STATE_NAMES: Final = tuple(state.name for state in State)
_NO_ATTEMPTS: Final = msgspec.Raw(b"[]")


class AttemptDetail(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One ended attempt: AWS's AttemptDetail, and `usage`."""

    container: ContainerDetail
    stopped_at: int
    status_reason: str
    started_at: int | None = None
    usage: Usage = _NO_USAGE


class Progress(msgspec.Struct, rename="camel", omit_defaults=True):
    """How far a unit of work has come.

    `environment` and `container` are those of the newest attempt; `attempts` are the ended ones,
    undecoded. `stop` says that it is being ended, or was, for `status_reason`. `status_summary`
    counts an array's children per state. `result` is how a multi-node job's main node ended,
    while others still run.
    """

    attempt: int = 0
    environment: str | None = None
    address: str | None = None
    container: ContainerDetail = _NO_CONTAINER
    attempts: msgspec.Raw = _NO_ATTEMPTS
    status_reason: str | None = None
    stop: StopKind | None = None
    status_summary: Mapping[str, int] | None = None
    result: AttemptDetail | None = None

    @property
    def is_cancelled(self) -> bool:
        """CancelJob ended it."""
        return self.stop is StopKind.CANCELLED

    @property
    def is_terminated(self) -> bool:
        """TerminateJob ended it, or is about to."""
        return self.stop is StopKind.TERMINATED


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Progress).decode
_decode_attempts = msgspec.json.Decoder(list[AttemptDetail]).decode


def encode(unit: Unit) -> bytes:
    """The progress of `unit` as its row holds it."""
    progress = Progress(attempt=unit.attempt)
    if unit.past:
        progress.attempts = msgspec.Raw(b"[%b]" % unit.past)
    _tell_phase(progress, unit.phase)
    if isinstance(unit, ArrayJob):
        progress.status_summary = status_summary(unit)
        if unit.phase is None:
            _tell_stop(progress, unit.stop)
    elif isinstance(unit, MultiNodeJob):
        _tell_nodes(progress, unit)
    return _encode(progress)


def decode(data: bytes) -> Progress:
    """Read what `encode` wrote."""
    return _decode(data)


def encode_attempt(
    end: AttemptEnd, started_ms: int | None, status_reason: str, stream: str
) -> bytes:
    """One ended attempt, a piece of `Unit.past`."""
    return _encode(_attempt_detail(end, started_ms, status_reason, stream))


def ended_attempts(past: bytes) -> list[AttemptDetail]:
    """The ended attempts that `Unit.past` has, first to last."""
    return _decode_attempts(b"[%b]" % past)


def past_of(progress: Progress) -> bytes:
    """The ended attempts as `Unit.past` has them."""
    return bytes(progress.attempts)[1:-1]


def result_of(progress: Progress) -> AttemptEnd | None:
    """How the main node ended, where the job still waits for its other nodes."""
    detail = progress.result
    if detail is None:
        return None
    return AttemptEnd(
        stopped_ms=detail.stopped_at,
        status_reason=detail.status_reason,
        exit_code=detail.container.exit_code,
        reason=detail.container.reason or "",
        started_ms=detail.started_at,
        cpu_s=detail.usage.cpu_seconds,
        memory_peak_bytes=detail.usage.memory_peak_bytes,
    )


def status_summary(array: ArrayJob) -> dict[str, int]:
    """How many children are in which state, AWS's statusSummary."""
    counts = [0] * len(State)
    for child in array.children.values():
        if child.state is not State.RUNNABLE or child.index not in array.ready:
            counts[child.state] += 1
    counts[State.RUNNABLE] += len(array.ready)
    counts[State.PENDING] = len(array.held)
    counts[State.SUCCEEDED] = array.succeeded
    counts[State.FAILED] = len(array.failed)
    return dict(zip(_STATE_NAMES, counts, strict=True))


def _tell_phase(progress: Progress, phase: Phase) -> None:
    match phase:
        case None:
            return
        case UnderWay():
            progress.environment = phase.environment
            progress.container = ContainerDetail(log_stream_name=phase.log_stream)
        case Finished():
            progress.environment = phase.environment or None
            progress.container = ContainerDetail(
                phase.exit_code, phase.reason or None, phase.log_stream or None
            )
            progress.status_reason = phase.status_reason or None
    _tell_stop(progress, phase.stop)


def _tell_stop(progress: Progress, stop: Stop | None) -> None:
    if stop is not None:
        progress.stop = stop.kind
        progress.status_reason = stop.reason


def _tell_nodes(progress: Progress, job: MultiNodeJob) -> None:
    progress.address = job.main_address or None
    if job.result is not None:
        end = job.result
        progress.result = _attempt_detail(end, end.started_ms, end.status_reason, None)


def _attempt_detail(
    end: AttemptEnd, started_ms: int | None, status_reason: str, stream: str | None
) -> AttemptDetail:
    usage = _NO_USAGE
    if end.cpu_s or end.memory_peak_bytes:
        usage = Usage(round(end.cpu_s, 6), end.memory_peak_bytes)
    container = ContainerDetail(end.exit_code, end.reason or None, stream)
    return AttemptDetail(container, end.stopped_ms, status_reason, started_ms, usage)
