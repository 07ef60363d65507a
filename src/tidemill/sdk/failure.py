"""What has failed of a run, and why, as the service knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.sdk import watch
from tidemill.sdk.error import JobFailed
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.ledger import Ledger, Part
from tidemill.sdk.watch import Sight

if TYPE_CHECKING:
    from tidemill.sdk.run import Run

FAILED = "FAILED"


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


def failure_of(sight: Sight, told: str, job_id: str) -> JobFailed:
    """Why a job ended without a result, as far as the service knows."""
    return _failure(sight.detail | {"statusReason": sight.why}, told, job_id)


def _failure(detail: Mapping[str, Any], told: str, job_id: str) -> JobFailed:
    container = detail.get("container") or {}
    said = [detail.get("statusReason") or "it gave no reason", container.get("reason", "")]
    if "exitCode" in container:
        said.append(f"exit code {container['exitCode']}")
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
