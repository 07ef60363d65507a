"""A job, a child or a node as ListJobs shows it: a short form of its detail."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.services.batch.detail import Part
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.progress import Progress
from tidemill.services.batch.state import State
from tidemill.services.batch.store import ChildRow, JobRow, RangeRow

Summary = dict[str, Any]


def of_job(row: JobRow, names: Names) -> Summary:
    """A job on its own, an array's parent, or a multi-node job."""
    summary = _identity(row, JobId(row.id), names)
    _tell_state(summary, row.state, row.started_ms, row.stopped_ms)
    _tell_progress(summary, row.progress)
    if row.array_size is not None:
        counts = row.progress.status_summary or {}
        summary["arrayProperties"] = {"size": row.array_size, "statusSummary": counts}
    if row.node_count is not None:
        summary["nodeProperties"] = {"numNodes": row.node_count}
    return summary


def of_child(row: JobRow, index: int, part: Part, names: Names) -> Summary:
    """Child `index` of the array `row`."""
    summary = _identity(row, JobId(row.id, index=index), names)
    summary["arrayProperties"] = {"index": index}
    _tell_part(summary, part, index)
    return summary


def of_node(row: JobRow, node: int, part: Part, main: int, names: Names) -> Summary:
    """Node `node` of the multi-node job `row`, whose main node is `main`."""
    summary = _identity(row, JobId(row.id, node=node), names)
    summary["nodeProperties"] = {
        "isMainNode": node == main,
        "numNodes": row.node_count,
        "nodeIndex": node,
    }
    _tell_part(summary, part, node)
    return summary


def _identity(row: JobRow, job_id: JobId, names: Names) -> Summary:
    summary = {
        "jobArn": names.arn(Kind.JOB, str(job_id)),
        "jobId": str(job_id),
        "jobName": row.name,
        "jobDefinition": row.definition,
        "createdAt": row.created_ms,
    }
    if row.share:
        summary["shareIdentifier"] = row.share
    return summary


def _tell_part(summary: Summary, part: Part, index: int) -> None:
    match part:
        case State():
            _tell_state(summary, part, None, None)
        case RangeRow():
            _tell_state(summary, State.FAILED, None, part.at_ms)
            summary["statusReason"] = part.status_reason(index)
            _tell_stop(summary, part.is_cancelled, part.is_terminated)
        case ChildRow():
            _tell_state(summary, part.state, part.started_ms, part.stopped_ms)
            _tell_progress(summary, part.progress)


def _tell_state(
    summary: Summary, state: State, started_ms: int | None, stopped_ms: int | None
) -> None:
    summary["status"] = state.name
    if started_ms is not None:
        summary["startedAt"] = started_ms
    if stopped_ms is not None:
        summary["stoppedAt"] = stopped_ms


def _tell_progress(summary: Summary, progress: Progress) -> None:
    if progress.status_reason is not None:
        summary["statusReason"] = progress.status_reason
    _tell_stop(summary, progress.is_cancelled, progress.is_terminated)
    ended = msgspec.to_builtins(progress.container)
    ended.pop("logStreamName", None)
    if ended:
        summary["container"] = ended


def _tell_stop(summary: Summary, is_cancelled: bool, is_terminated: bool) -> None:
    """Both members are there only where they are true."""
    if is_cancelled:
        summary["isCancelled"] = True
    if is_terminated:
        summary["isTerminated"] = True
