"""What has failed of a run, and why, as the service knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tidemill.sdk import result as results
from tidemill.sdk import watch
from tidemill.sdk.client import Connection
from tidemill.sdk.error import JobFailed, TidemillError
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.ledger import Ledger, Part
from tidemill.sdk.watch import Sight

if TYPE_CHECKING:
    from tidemill.sdk.run import Run

FAILED = "FAILED"
_DEPENDENT: Final = re.compile(r"Dependent Job failed(?:: (\S+))?")
_STEPS_MAX: Final = 32
"""How far up a pipeline is looked for where its failure began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A child of a map that has failed, and with it all items of its chunk."""

    index: int
    """The item that raised; the chunk's first where none did: it was killed, or never began."""
    items: range
    """All items that have no result for this."""
    error: Exception
    """What the function raised, or a `JobFailed` that says why it ended otherwise."""
    run: Run[list[Any]]
    """The chunk's own run: its attempts and its logs."""


def failure_of(connection: Connection, sight: Sight, told: str, job_id: str) -> JobFailed:
    """Why a job ended without a result, as far as the service knows.

    Where something that it depends on failed, that which failed first is named, and its exception
    the cause.
    """
    origin = _origin_of(connection, sight)
    detail = sight.detail | {"statusReason": sight.why}
    if origin is None:
        return _failure(detail, told, job_id)
    error = _failure(detail, told, job_id, origin.told)
    error.__cause__ = origin.error
    return error


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a failure began: which job, in words, and what it raised or how it ended."""

    told: str
    error: Exception


def _origin_of(connection: Connection, sight: Sight) -> _Origin | None:
    try:
        first = above = _dependency(connection, sight)
        for _ in range(_STEPS_MAX):
            if above is None:
                break
            first, above = above, _dependency(connection, above)
        return None if first is None else _told_of(connection, first)
    except Exception:  # noqa: BLE001 - it adds to an error, which is never to be lost for it
        return None


def _dependency(connection: Connection, sight: Sight) -> Sight | None:
    """What has failed of that which a job depends on, if it failed for this; of an array a child.

    Tidemill's reason names it; on AWS, it is among all that the job depends on.
    """
    told = _DEPENDENT.match(sight.why)
    if told is None:
        return None
    every = sight.detail.get("dependsOn") or ()
    ids = [told[1]] if told[1] else [each["jobId"] for each in every if each.get("jobId")]
    seen = watch.look_at(connection, ids)
    failed = next((each for each in seen if each.status == FAILED), None)
    if failed is None or failed.size == 1:
        return failed
    child = next(watch.children(connection, failed.detail["jobId"], FAILED), None)
    return failed if child is None else watch.look(connection, child["jobId"])


def _told_of(connection: Connection, sight: Sight) -> _Origin:
    from tidemill.sdk import lookup
    from tidemill.sdk.run import MapRun

    job_id = sight.detail["jobId"]
    try:
        run = lookup.handle(connection, job_id)
    except TidemillError:  # another's job
        error = _failure(sight.detail, f"{sight.detail['jobName']} (job {job_id})", job_id)
        return _Origin(str(error), error)
    told = f"{run._name} (job {job_id})"
    child = run.child(0) if isinstance(run, MapRun) else run  # an array of one is a plain job
    found = results.collect(connection, child._url, child._index).get(child._index)
    if found is None or found.kind != results.EXCEPTION or sight.size > 1:
        error = _failure(sight.detail, told, job_id)
        return _Origin(str(error), error)
    raised = results.exception_of(found)
    if raised.item is not None:
        told = f"item {child.index + raised.item} of {told}"
    return _Origin(f"{told} raised {type(raised.error).__name__}: {raised.error}", raised.error)


def _failure(detail: Mapping[str, Any], told: str, job_id: str, origin: str = "") -> JobFailed:
    container = detail.get("container") or {}
    said = [detail.get("statusReason") or "it gave no reason", container.get("reason", "")]
    if "exitCode" in container:
        said.append(f"exit code {container['exitCode']}")
    said.append(origin)
    reason = "; ".join(part.rstrip(".") for part in said if part)
    return JobFailed(f"{told} failed: {reason}.", job_id=job_id)


def failed_children(ledger: Ledger) -> dict[int, Mapping[str, Any]]:
    """The run's children that have failed and were not done again, by their number in the run.

    Each with what the service says of it: `jobId`, `statusReason`, `container`.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for part in ledger.parts:
        replaced = ledger.replaced(part)
        told = _failed_of(ledger, part)
        found |= {index: each for index, each in told.items() if index not in replaced}
    return dict(sorted(found.items()))


def _failed_of(ledger: Ledger, part: Part) -> dict[int, Mapping[str, Any]]:
    sight = ledger.sight(part)
    if sight.size == 1:
        return {part.indices[0]: sight.detail} if sight.status == FAILED else {}
    if not sight.failed and sight.status != FAILED:
        return {}
    listed = list(watch.children(ledger.connection, part.job_id, FAILED))
    found: dict[int, Mapping[str, Any]] = {part.indices[_index(each)]: each for each in listed}
    if sight.status == FAILED and len(found) < max(sight.failed, 1):
        # The array failed as a whole: its children never were.
        done = watch.children(ledger.connection, part.job_id, "SUCCEEDED")
        well = IndexSet.of(part.indices[_index(each)] for each in done)
        rest = (index for index in part.indices if index not in well and index not in found)
        found |= {index: _unbegun(part, index, sight) for index in rest}
    return found


def _index(child: Mapping[str, Any]) -> int:
    """A child's index in its array, by its id."""
    return int(child["jobId"].rpartition(":")[2])


def _unbegun(part: Part, index: int, sight: Sight) -> Mapping[str, Any]:
    return {"jobId": part.child_id(index), "statusReason": sight.why}


def errors(ledger: Ledger, told: str) -> dict[int, JobFailed]:
    """Why each failed child of a run failed, as the service tells it."""
    return {
        index: _failure(each, f"Child {index} of {told}", str(each["jobId"]))
        for index, each in failed_children(ledger).items()
    }
