"""ListJobs: reads a page of a queue's jobs, of an array's children, or of a job's nodes.

Jobs come newest first, children and nodes in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

import msgspec

from tidemill.platform.clock import Now
from tidemill.platform.store import Store
from tidemill.services.batch import page, store, summary
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.description import SQL, unbegun
from tidemill.services.batch.detail import Part, part_state
from tidemill.services.batch.name import Names
from tidemill.services.batch.query import Query, state_asked
from tidemill.services.batch.state import State
from tidemill.services.batch.store import ChildRow, JobRow
from tidemill.services.batch.summary import Summary

PAGE_MAX: Final = 1_000
FILTERED_PAGE_MAX: Final = 100
EXPLAINED_MAX: Final = 100
_BEYOND_ALL: Final = 2**62
_WAITING: Final = (State.SUBMITTED, State.PENDING, State.RUNNABLE)
_WAITING_NAMES: Final = frozenset(state.name for state in _WAITING)
Ranges = Sequence[tuple[int, int]]
Params = Mapping[str, Any]


def waiting_children(core: BatchCore, parent: str, params: Params) -> Ranges:
    """The children of an array that wait in the state asked for, as ranges."""
    job = core.book.jobs.get(parent)
    if not isinstance(job, ArrayJob):
        return []
    match state_asked(params):
        case State.PENDING:
            return job.held.ranges()
        case State.RUNNABLE:
            return job.ready.ranges()
        case _:
            return []


class Lists:
    """Lists jobs for one call of ListJobs."""

    def __init__(self, database: Store, core: BatchCore, names: Names, now: Now) -> None:
        self._database = database
        self._core = core
        self._names = names
        self._now = now

    async def of_queue(self, queue: str, query: Query, params: Params) -> dict[str, Any]:
        """The answer with a page of a queue's jobs."""
        limit = page.size(params, FILTERED_PAGE_MAX if params.get("filters") else PAGE_MAX)
        (before,) = page.place(params, "jobs", _BEYOND_ALL)
        parameters = query.parameters(queue, before, limit + 1)
        found = await self._database.fetch(SQL[query.statement], parameters)
        rows = [JobRow.of(row) for row in found[:limit]]
        shown = [summary.of_job(row, self._names) for row in rows]
        self._explain(shown)
        return _answer(shown, "jobs", rows[-1].seq if len(found) > limit else None)

    async def of_array(self, parent: JobRow, waiting: Ranges, params: Params) -> dict[str, Any]:
        """The answer with a page of an array's children.

        `waiting` are those that wait in the state asked for, as the core said before the
        database was waited for; one of them that has begun since is shown once, if at all.
        """
        state = state_asked(params)
        limit = page.size(params, PAGE_MAX)
        (after,) = page.place(params, "children", -1)
        after = min(after, parent.array_size or 0)
        parts = await self._children(parent, state, after, limit + 1, waiting)
        shown = [summary.of_child(parent, i, part, self._names) for i, part in parts[:limit]]
        self._explain(shown)
        return _answer(shown, "children", parts[limit - 1][0] if len(parts) > limit else None)

    async def of_nodes(self, parent: JobRow, body: bytes, params: Params) -> dict[str, Any]:
        """The answer with a page of a multi-node job's nodes."""
        state = state_asked(params)
        main = msgspec.json.decode(body)["nodeProperties"]["mainNode"]
        limit = page.size(params, PAGE_MAX)
        (after,) = page.place(params, "nodes", -1)
        rows = await self._database.fetch(SQL["select_nodes_shown"], (parent.seq,))
        begun = {row[0]: ChildRow.of(row) for row in rows}
        nodes = range(after + 1, parent.node_count or 0)
        parts = [(node, begun.get(node) or unbegun(parent)) for node in nodes]
        found = [(node, part) for node, part in parts if part_state(part) is state]
        shown = [summary.of_node(parent, n, p, main, self._names) for n, p in found[:limit]]
        return _answer(shown, "nodes", found[limit - 1][0] if len(found) > limit else None)

    async def _children(
        self, parent: JobRow, state: State, after: int, count: int, waiting: Ranges
    ) -> list[tuple[int, Part]]:
        """Up to `count` children in `state` beyond `after`, in order."""
        rows = await self._database.fetch(
            SQL["select_children_in_state"], (parent.seq, int(state), after, count)
        )
        begun: list[tuple[int, Part]] = [(row[0], ChildRow.of(row)) for row in rows]
        if state is State.FAILED:
            ranges = await store.ranges(self._database, parent.seq)
            never = ((i, r) for r in ranges for i in _beyond([(r.first, r.last)], after))
            return _first(count, begun, never)
        if state not in _WAITING:
            return begun
        unbegun_children = ((index, state) for index in _beyond(waiting, after))
        return _first(count, begun, unbegun_children)

    def _explain(self, shown: list[Summary]) -> None:
        """Say why they wait, of the first hundred that do: each takes the core a while."""
        waiting = (s for s in shown if s["status"] in _WAITING_NAMES and "statusReason" not in s)
        for each in islice(waiting, EXPLAINED_MAX):
            reason = self._core.status_reason(each["jobId"], self._now)
            if reason is not None:
                each["statusReason"] = reason


def _beyond(ranges: Ranges, after: int) -> Iterator[int]:
    for first, last in ranges:
        yield from range(max(first, after + 1), last + 1)


def _first(
    count: int, begun: list[tuple[int, Part]], other: Iterable[tuple[int, Part]]
) -> list[tuple[int, Part]]:
    """The first of both in order, each number once; what has begun goes before what hasn't."""
    merged = merge(begun, islice(other, count + len(begun)), key=lambda each: each[0])
    found: dict[int, Part] = {}
    for index, part in merged:
        found.setdefault(index, part)
        if len(found) == count:
            break
    return list(found.items())


def _answer(shown: list[Summary], kind: str, last: int | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"jobSummaryList": shown}
    if last is not None:
        answer["nextToken"] = page.token(kind, last)
    return answer
