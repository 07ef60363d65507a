"""A job as DescribeJobs shows it, put together from its rows.

What never changes is the body; what changes is in the row of the job, of the child that has
begun, or of the range of children that never did. A child with no row at all waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.progress import Progress
from tidemill.services.batch.state import State
from tidemill.services.batch.store import ChildRow, JobRow, RangeRow

Detail = dict[str, Any]
Part = ChildRow | RangeRow | State
"""How far a child or a node has come; a bare state for one that has not begun."""

_DEFAULTS: Final[Mapping[str, Any]] = {"dependsOn": [], "tags": {}, "propagateTags": False}
_STATES: Final = {state.name: 0 for state in State}


def of_job(row: JobRow, body: Mapping[str, Any], names: Names) -> Detail:
    """A job on its own, an array's parent, or a multi-node job."""
    detail = _identity(row, JobId(row.id), body, names)
    _tell_state(detail, row.state, row.started_ms, row.stopped_ms)
    _tell_progress(detail, row.progress)
    if row.array_size is not None:
        summary = {**_STATES, **(row.progress.status_summary or {})}
        detail["arrayProperties"] = {"statusSummary": summary, "size": row.array_size}
    return detail


def of_child(row: JobRow, body: Mapping[str, Any], index: int, part: Part, names: Names) -> Detail:
    """Child `index` of the array `row`."""
    detail = _identity(row, JobId(row.id, index=index), body, names)
    detail["arrayProperties"] = {"index": index}
    _tell_part(detail, part, index)
    return detail


def of_node(row: JobRow, body: Mapping[str, Any], node: int, part: Part, names: Names) -> Detail:
    """Node `node` of the multi-node job `row`."""
    detail = _identity(row, JobId(row.id, node=node), body, names)
    properties = detail.pop("nodeProperties")
    detail["nodeDetails"] = {"nodeIndex": node, "isMainNode": node == properties["mainNode"]}
    found = range_of(properties, node)
    for name in ("container", "ecsProperties"):
        if name in found:
            detail[name] = found[name]
    _show_containers(detail)
    _tell_part(detail, part, node)
    return detail


def part_state(part: Part) -> State:
    """The state that a part is in."""
    if isinstance(part, State):
        return part
    return part.state if isinstance(part, ChildRow) else State.FAILED


def range_of(properties: Mapping[str, Any], node: int) -> Mapping[str, Any]:
    """The node range of a body's nodeProperties that says what `node` runs: the narrowest."""

    def bounds(entry: Mapping[str, Any]) -> tuple[int, int]:
        first, colon, last = entry["targetNodes"].partition(":")
        end = int(last) if last else properties["numNodes"] - 1
        return int(first or 0), end if colon else int(first)

    covering = [e for e in properties["nodeRangeProperties"] if _within(node, *bounds(e))]
    narrowest: Mapping[str, Any] = min(
        covering, key=lambda e: (bounds(e)[1] - bounds(e)[0], -bounds(e)[0])
    )
    return narrowest


def _within(node: int, first: int, last: int) -> bool:
    return first <= node <= last


def _identity(row: JobRow, job_id: JobId, body: Mapping[str, Any], names: Names) -> Detail:
    detail = {
        "jobArn": names.arn(Kind.JOB, str(job_id)),
        "jobName": row.name,
        "jobId": str(job_id),
        "jobQueue": names.arn(Kind.QUEUE, row.queue),
        "jobDefinition": row.definition,
        "createdAt": row.created_ms,
        "attempts": [],
        "isCancelled": False,
        "isTerminated": False,
        **_DEFAULTS,
        **body,
    }
    if row.share:
        detail["shareIdentifier"] = row.share
    _show_containers(detail)
    return detail


def _show_containers(detail: Detail) -> None:
    """Copy what will be told how its container ended, and add what AWS always shows."""
    if "container" in detail:
        detail["container"] = {**detail["container"], "networkInterfaces": []}
    if "ecsProperties" in detail:
        (task,) = detail["ecsProperties"]["taskProperties"]
        containers = [{**each, "networkInterfaces": []} for each in task["containers"]]
        detail["ecsProperties"] = {"taskProperties": [{**task, "containers": containers}]}


def _tell_part(detail: Detail, part: Part, index: int) -> None:
    match part:
        case State():
            _tell_state(detail, part, None, None)
        case RangeRow():
            _tell_state(detail, State.FAILED, None, part.at_ms)
            detail["statusReason"] = part.status_reason(index)
            detail["isCancelled"] = part.is_cancelled
            detail["isTerminated"] = part.is_terminated
        case ChildRow():
            _tell_state(detail, part.state, part.started_ms, part.stopped_ms)
            _tell_progress(detail, part.progress)


def _tell_state(
    detail: Detail, state: State, started_ms: int | None, stopped_ms: int | None
) -> None:
    detail["status"] = state.name
    if started_ms is not None:
        detail["startedAt"] = started_ms
    if stopped_ms is not None:
        detail["stoppedAt"] = stopped_ms


def _tell_progress(detail: Detail, progress: Progress) -> None:
    if progress.status_reason is not None:
        detail["statusReason"] = progress.status_reason
    detail["isCancelled"] = progress.is_cancelled
    detail["isTerminated"] = progress.is_terminated
    detail["attempts"] = [_attempt(a) for a in msgspec.json.decode(progress.attempts)]
    ended = msgspec.to_builtins(progress.container)
    if "container" in detail:
        detail["container"].update(ended)
    if "ecsProperties" in detail:
        container = detail["ecsProperties"]["taskProperties"][0]["containers"][0]
        container.update(ended)
        for attempt in detail["attempts"]:
            shown = {"name": container.get("name", ""), **attempt["container"]}
            attempt["taskProperties"] = [{"containers": [shown]}]


def _attempt(stored: dict[str, Any]) -> dict[str, Any]:
    stored.pop("usage", None)
    container = stored["container"]
    return {**stored, "container": {**container, "networkInterfaces": []}}
