"""DescribeJobs: reads the rows that the ids name, and asks the core what only it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tidemill.platform.clock import Now
from tidemill.platform.sql import statements
from tidemill.platform.store import Store
from tidemill.services.batch import detail, store
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.detail import Detail, Part
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import Names
from tidemill.services.batch.run import Runtime
from tidemill.services.batch.state import State
from tidemill.services.batch.store import JobRow

SQL: Final = statements("tidemill.services.batch", "listing.sql")
Body = dict[str, Any]
_WAITING: Final = {State.PENDING.name, State.RUNNABLE.name}
_READS_MAX: Final = 3


async def describe(runtime: Runtime, ids: Sequence[JobId]) -> list[Detail]:
    """The details of all that there are of `ids`, in their order, as DescribeJobs gives them.

    Read again where a job moved on meanwhile: its row would say that it waits, and nothing for
    what.
    """
    found: list[Detail] = []
    for _ in range(_READS_MAX):
        descriptions = Descriptions(runtime.database, runtime.core, runtime.registry.names, ids)
        await runtime.settled()
        found = await descriptions.read(runtime.now())
        if not any(d["status"] in _WAITING and "statusReason" not in d for d in found):
            break
    return found


class Descriptions:
    """Describes the jobs of one call; parents that several ids share are read once.

    Made before the store is waited for: what the core says of children that haven't begun is
    older than the rows then, so that a child is in one of the two whenever it moves.
    """

    def __init__(
        self, database: Store, core: BatchCore, names: Names, ids: Sequence[JobId]
    ) -> None:
        self._database = database
        self._core = core
        self._names = names
        self._ids = ids
        self._states = {each: core.state_of(str(each)) for each in ids if each.index is not None}
        self._jobs: dict[str, tuple[JobRow, Body] | None] = {}

    async def read(self, now: Now) -> list[Detail]:
        """The details of all that there are, in the order of the ids."""
        found = [await self._describe(each, now) for each in self._ids]
        return [each for each in found if each is not None]

    async def _describe(self, job_id: JobId, now: Now) -> Detail | None:
        if job_id.parent not in self._jobs:
            self._jobs[job_id.parent] = await self._read(job_id.parent)
        found = self._jobs[job_id.parent]
        if found is None:
            return None
        row, body = found
        if job_id.index is not None:
            described = await self._child(row, body, job_id)
        elif job_id.node is not None:
            described = await self._node(row, body, job_id.node)
        else:
            described = detail.of_job(row, body, self._names)
        if described is not None and "statusReason" not in described:
            reason = self._core.status_reason(str(job_id), now)
            if reason is not None:
                described["statusReason"] = reason
        return described

    async def _read(self, job_id: str) -> tuple[JobRow, Body] | None:
        rows = await self._database.fetch(SQL["select_described"], (job_id,))
        if not rows:
            return None
        *row, body = rows[0]
        return JobRow.of(tuple(row)), msgspec.json.decode(body)

    async def _child(self, row: JobRow, body: Body, job_id: JobId) -> Detail | None:
        index = job_id.index
        if row.array_size is None or index is None or index >= row.array_size:
            return None
        part: Part | None = await store.child(self._database, row.seq, index)
        if part is None:
            part = await store.range_at(self._database, row.seq, index)
        if part is None:
            part = self._states.get(job_id) or State.PENDING
        return detail.of_child(row, body, index, part, self._names)

    async def _node(self, row: JobRow, body: Body, node: int) -> Detail | None:
        if row.node_count is None or node >= row.node_count:
            return None
        part = await store.child(self._database, row.seq, node)
        return detail.of_node(row, body, node, part or unbegun(row), self._names)


def unbegun(row: JobRow) -> State:
    """The state of a node that has not begun: it waits as the job does, or never will begin."""
    if row.state >= State.SUCCEEDED:
        return State.FAILED
    return min(row.state, State.RUNNABLE)
