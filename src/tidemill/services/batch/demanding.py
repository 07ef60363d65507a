"""ListJobsByConsumableResource: the jobs that ask for a consumable resource, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidemill.platform.store import Store
from tidemill.services.batch import page
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.description import SQL
from tidemill.services.batch.error import Refused
from tidemill.services.batch.inventory import alike
from tidemill.services.batch.name import Kind
from tidemill.services.batch.state import State
from tidemill.services.batch.store import JobRow

_BEYOND_ALL: Final = 2**62
_STEP: Final = 500
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of them: those in one of `states`, and with a name that one of `names` fits."""

    states: frozenset[State]
    names: tuple[str, ...]

    @classmethod
    def of(cls, params: Params) -> Filter:
        """What `filters` say; without any, all jobs."""
        states: set[State] = set()
        names: list[str] = []
        for each in params.get("filters") or ():
            values = each.get("values") or []
            match each.get("name"):
                case "JOB_STATUS":
                    states.update(_state(value) for value in values)
                case "JOB_NAME":
                    names += values
                case other:
                    raise Refused(f"filters: name should be JOB_STATUS or JOB_NAME; got {other!r}.")
        return cls(frozenset(states), tuple(names))

    def fits(self, row: JobRow) -> bool:
        """Whether a job is wanted."""
        if self.states and row.state not in self.states:
            return False
        return not self.names or any(alike(row.name, pattern) for pattern in self.names)


async def list_demanding(database: Store, core: BatchCore, params: Params) -> dict[str, Any]:
    """The answer of ListJobsByConsumableResource."""
    wanted = Filter.of(params)
    limit = page.size(params)
    (before,) = page.place(params, "demanding", _BEYOND_ALL)
    found: list[tuple[JobRow, int, bytes]] = []
    name = core.registry.consumable_for(params["consumableResource"])
    while len(found) <= limit:
        rows = await database.fetch(SQL["select_demanding"], (name, before, _STEP))
        for *row, quantity, body in rows:
            job = JobRow.of(tuple(row))
            before = job.seq
            if wanted.fits(job):
                found.append((job, quantity, body))
        if len(rows) < _STEP:
            break
    answer: dict[str, Any] = {"jobs": [_shown(core, *each) for each in found[:limit]]}
    if len(found) > limit:
        answer["nextToken"] = page.token("demanding", found[limit - 1][0].seq)
    return answer


def _shown(core: BatchCore, row: JobRow, quantity: int, body: bytes) -> dict[str, Any]:
    names = core.registry.names
    shown = {
        "jobArn": names.arn(Kind.JOB, row.id),
        "jobQueueArn": names.arn(Kind.QUEUE, row.queue),
        "jobName": row.name,
        "jobDefinitionArn": row.definition,
        "jobStatus": row.state.name,
        "quantity": quantity,
        "createdAt": row.created_ms,
        "consumableResourceProperties": msgspec.json.decode(body).get(
            "consumableResourceProperties", {"consumableResourceList": []}
        ),
    }
    optional = {
        "shareIdentifier": row.share or None,
        "statusReason": row.progress.status_reason,
        "startedAt": row.started_ms,
    }
    return shown | {member: value for member, value in optional.items() if value is not None}


def _state(name: str) -> State:
    if name not in State.__members__:
        raise Refused(f"filters: JOB_STATUS should be one of {', '.join(State.__members__)}.")
    return State[name]
