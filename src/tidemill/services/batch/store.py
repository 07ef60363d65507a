"""The rows of jobs, in and out: typed values here, SQL in `job.sql`, never a decision.

`batch_job` has a row per job and `batch_body` what never changes of it; `batch_child` has a row
per array child that has begun and per node of a multi-node job, under the parent's `seq`;
`batch_range` has the children that ended without having begun; `batch_demand` the consumable
resources that a job asks for, so that it is found by them. An active array's child that is in
neither of the former waits, and only the core knows for what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from tidemill.platform.sql import migrations, statements
from tidemill.platform.store import Row, Store, Write
from tidemill.services.batch import progress
from tidemill.services.batch.array import Child
from tidemill.services.batch.command import Dependency, Ended, SubmitJob
from tidemill.services.batch.job import Finished, Job, Running, Spec, Stop, StopKind, Unit
from tidemill.services.batch.multinode import Node
from tidemill.services.batch.progress import Progress
from tidemill.services.batch.reason import dependency_failed
from tidemill.services.batch.scheduling.spec import ShareUse
from tidemill.services.batch.state import State

MIGRATIONS: Final = migrations("tidemill.services.batch.migrations", "batch")
SQL: Final = statements("tidemill.services.batch", "job.sql")

_PAGE: Final = 1_000
_BODIES: Final = 16
_EXPIRED_JOBS: Final = 200
_EXPIRED_CHILDREN: Final = 2_000


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as it is durable; `definition` is an ARN, times are wall times."""

    seq: int
    id: str
    queue: str
    name: str
    definition: str
    share: str
    array_size: int | None
    node_count: int | None
    created_ms: int
    state: State
    started_ms: int | None
    stopped_ms: int | None
    progress: Progress

    @classmethod
    def of(cls, row: Row) -> JobRow:
        """From the columns of `select_job`, in their order."""
        return cls(*(*row[:9], State(row[9]), *row[10:12], progress.decode(row[12])))


@dataclass(frozen=True, slots=True)
class ChildRow:
    """One array child that has begun, or one node; `index` is its number in its parent."""

    index: int
    state: State
    started_ms: int | None
    stopped_ms: int | None
    progress: Progress

    @classmethod
    def of(cls, row: Row) -> ChildRow:
        """From the columns of `select_child`, in their order."""
        return cls(row[0], State(row[1]), row[2], row[3], progress.decode(row[4]))


@dataclass(frozen=True, slots=True)
class RangeRow:
    """Children `first` to `last` ended FAILED at `at_ms` without ever having begun."""

    first: int
    last: int
    at_ms: int
    reason: str
    dependency: str | None
    is_cancelled: bool
    is_terminated: bool

    @classmethod
    def of(cls, row: Row) -> RangeRow:
        """From the columns of `select_ranges`, in their order."""
        return cls(*(*row[:5], bool(row[5]), bool(row[6])))

    def status_reason(self, index: int) -> str:
        """The statusReason of child `index`: it names the very child that it depended on."""
        if self.dependency is None:
            return self.reason
        return dependency_failed(f"{self.dependency}:{index}")


class _StoredSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the core needs of a job after a restart and that never changes."""

    spec: Spec
    dependencies: tuple[Dependency, ...] = ()


_encode_spec = msgspec.json.Encoder().encode
_spec_decoder: Final = msgspec.json.Decoder(_StoredSpec)


@lru_cache(maxsize=1_024)
def _decode_spec(blob: bytes) -> _StoredSpec:
    """Jobs that are alike have equal blobs: a hundred thousand of them are read as fast as one."""
    return _spec_decoder.decode(blob)


@dataclass(slots=True)
class Changes:
    """The rows that one batch of messages changed, each once, gathered by the journal.

    `touched` jobs are those whose state has not changed: no index need be written for them.
    """

    new: list[tuple[Job, SubmitJob, int]]
    moved: list[Job]
    touched: list[Job]
    parts: list[Child | Node]
    ranges: list[Row]

    def writes(self) -> list[Write]:
        """One statement per table and kind of change, with all of its rows."""
        found = (
            Write(SQL["insert_job"], [_insert_row(*entry) for entry in self.new]),
            Write(SQL["insert_body"], [_body_row(job, command) for job, command, _ in self.new]),
            Write(SQL["insert_demand"], [row for entry in self.new for row in _demands(*entry)]),
            Write(SQL["update_job"], [(job.seq, *_changing(job)) for job in self.moved]),
            Write(
                SQL["update_progress"], [(job.seq, progress.encode(job)) for job in self.touched]
            ),
            Write(
                SQL["upsert_child"],
                [(part.job.seq, part.index, *_changing(part)) for part in self.parts],
            ),
            Write(SQL["insert_range"], self.ranges),
        )
        return [write for write in found if write.rows]


def range_row(
    job: Job, first: int, last: int, at_ms: int, stop: Stop, dependency: str | None
) -> Row:
    """A row of `batch_range`."""
    return (
        job.seq,
        first,
        last,
        at_ms,
        stop.reason,
        dependency,
        int(stop.kind is StopKind.CANCELLED),
        int(stop.kind is StopKind.TERMINATED),
    )


def _insert_row(job: Job, command: SubmitJob, created_ms: int) -> Row:
    return (
        job.seq,
        job.id,
        job.spec.queue,
        command.name,
        command.definition_arn,
        job.spec.share,
        command.array_size,
        None if job.spec.nodes is None else job.spec.nodes.count,
        created_ms,
        *_changing(job),
    )


def _body_row(job: Job, command: SubmitJob) -> Row:
    return job.seq, _encode_spec(_StoredSpec(job.spec, command.dependencies)), command.body


def _demands(job: Job, command: SubmitJob, _: int) -> list[Row]:
    return [(name, job.seq, quantity) for name, quantity in command.request.consumables]


def _changing(unit: Unit) -> Row:
    """state, started_ms, stopped_ms, progress."""
    started_ms = stopped_ms = None
    match unit.phase:
        case Running() as phase:
            started_ms = phase.started_ms
        case Finished() as phase:
            started_ms, stopped_ms = phase.started_ms, phase.stopped_ms
        case _:
            pass
    return int(unit.state), started_ms, stopped_ms, progress.encode(unit)


@dataclass(frozen=True, slots=True)
class ActivePart:
    """A child or node to restore."""

    index: int
    state: State
    started_ms: int | None
    progress: Progress


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job to restore: it has not ended.

    For an array `parts` are the children that are under way, `ended` the (first, last, state)
    of all that have ended; for a multi-node job `parts` are all nodes that ever began.
    """

    seq: int
    id: str
    array_size: int | None
    created_ms: int
    state: State
    started_ms: int | None
    progress: Progress
    spec: Spec
    dependencies: tuple[Dependency, ...]
    parts: tuple[ActivePart, ...] = ()
    ended: tuple[tuple[int, int, State], ...] = ()


async def next_seq(store: Store) -> int:
    """The number of the next job to be submitted."""
    return int((await store.fetch(SQL["select_next_seq"]))[0][0])


async def active_jobs(store: Store) -> list[ActiveJob]:
    """All that the core must know again after a restart, oldest first."""
    found: list[ActiveJob] = []
    while True:
        after = found[-1].seq if found else 0
        rows = await store.fetch(SQL["select_active_jobs"], (after, _PAGE))
        for row in rows:
            found.append(await _active_job(store, row))
        if len(rows) < _PAGE:
            return found


async def _active_job(store: Store, row: Row) -> ActiveJob:
    seq, job_id, array_size, created_ms, state, started_ms, blob, spec_blob = row
    stored = _decode_spec(bytes(spec_blob))
    parts: Iterable[Row] = ()
    ended: tuple[tuple[int, int, State], ...] = ()
    if array_size is not None:
        parts = await store.fetch(SQL["select_active_children"], (seq,))
        runs = await store.fetch(SQL["select_ended_runs"], (seq,))
        ranges = await store.fetch(SQL["select_ranges"], (seq,))
        ended = (
            *((first, last, State(state)) for first, last, state in runs),
            *((row[0], row[1], State.FAILED) for row in ranges),
        )
    elif stored.spec.nodes is not None:
        parts = await store.fetch(SQL["select_nodes"], (seq,))
    return ActiveJob(
        seq,
        job_id,
        array_size,
        created_ms,
        State(state),
        started_ms,
        progress.decode(blob),
        stored.spec,
        stored.dependencies,
        tuple(ActivePart(i, State(s), at, progress.decode(b)) for i, s, at, b in parts),
        ended,
    )


async def job(store: Store, job_id: str) -> JobRow | None:
    """The job with that id."""
    rows = await store.fetch(SQL["select_job"], (job_id,))
    return JobRow.of(rows[0]) if rows else None


async def child(store: Store, seq: int, index: int) -> ChildRow | None:
    """The child or node `index` of the job `seq`, where it has begun."""
    rows = await store.fetch(SQL["select_child"], (seq, index))
    return ChildRow.of(rows[0]) if rows else None


async def range_at(store: Store, seq: int, index: int) -> RangeRow | None:
    """The range that holds child `index` of the job `seq`, where it ended without beginning."""
    rows = await store.fetch(SQL["select_range_at"], (seq, index))
    return RangeRow.of(rows[0]) if rows else None


async def ranges(store: Store, seq: int) -> list[RangeRow]:
    """All children of the job `seq` that ended without beginning."""
    return [RangeRow.of(row) for row in await store.fetch(SQL["select_ranges"], (seq,))]


async def body(store: Store, job_id: str) -> bytes | None:
    """What never changes of a job, as it was submitted."""
    rows = await store.fetch(SQL["select_body_of"], (job_id,))
    return bytes(rows[0][0]) if rows else None


async def ended(store: Store, job_id: str) -> Ended | None:
    """The fact of how a job, or an array's child (`id:3`), ended; None if it is not so."""
    parent, colon, index = job_id.partition(":")
    row = await job(store, parent)
    if row is None:
        return None
    if colon:
        return await _child_ended(store, row, int(index)) if index.isdecimal() else None
    if row.state < State.SUCCEEDED:
        return None
    failed: list[tuple[int, int]] = []
    if row.array_size is not None and row.state is State.FAILED:
        runs = await store.fetch(SQL["select_failed_runs"], (row.seq,))
        failed = [(first, last) for first, last in runs]
        failed += [(found.first, found.last) for found in await ranges(store, row.seq)]
    return Ended(row.state is State.SUCCEEDED, row.array_size, tuple(sorted(failed)))


async def _child_ended(store: Store, row: JobRow, index: int) -> Ended | None:
    if row.array_size is None:
        return None
    found = await child(store, row.seq, index)
    if found is not None:
        return Ended(found.state is State.SUCCEEDED) if found.state >= State.SUCCEEDED else None
    return Ended(False) if await range_at(store, row.seq, index) is not None else None


async def bodies(store: Store, job_ids: Sequence[str]) -> dict[str, bytes]:
    """The bodies of those jobs, by id."""
    found: dict[str, bytes] = {}
    for at in range(0, len(job_ids), _BODIES):
        wanted = job_ids[at : at + _BODIES]
        filled = (*wanted, *[wanted[0]] * (_BODIES - len(wanted)))
        for job_id, blob in await store.fetch(SQL["select_bodies"], filled):
            found[job_id] = bytes(blob)
    return found


async def expired(store: Store, before_ms: int) -> list[Write]:
    """The writes that forget some of what ended before `before_ms`; none when nothing has.

    An array's children go in steps before their parent does, so that no step is large.
    """
    rows: list[Row] = await store.fetch(SQL["select_expired"], (before_ms, _EXPIRED_JOBS))
    gone: list[Row] = []
    children: list[Row] = []
    for row in rows:
        room = _EXPIRED_CHILDREN - len(children)
        step = await store.fetch(SQL["select_child_step"], (row[0], room))
        children += step
        if len(step) >= room:
            break
        gone.append(row)
    names = ("delete_ranges", "delete_demands", "delete_body", "delete_job")
    found = [Write(SQL["delete_child"], children), *(Write(SQL[name], gone) for name in names)]
    return [write for write in found if write.rows]


async def oldest_end_ms(store: Store) -> int | None:
    """When the job ended that ended first of all that are kept."""
    value = (await store.fetch(SQL["select_oldest_end"]))[0][0]
    return None if value is None else int(value)


async def share_uses(store: Store) -> list[ShareUse]:
    """The scheduler's account of shares, as it was saved last."""
    return [
        ShareUse(queue=queue, share=share, average_milli=average, at_wall_ms=at_ms)
        for queue, share, average, at_ms in await store.fetch(SQL["select_shares"])
    ]


def save_share_uses(uses: Sequence[ShareUse], wall_ms: int) -> list[Write]:
    """The writes that make `uses`, taken at `wall_ms`, the whole account."""
    rows: list[Row] = [(use.queue, use.share, use.average_milli, use.at_wall_ms) for use in uses]
    old = Write(SQL["delete_shares"], [(wall_ms,)])
    return [Write(SQL["upsert_share"], rows), old] if rows else [old]
