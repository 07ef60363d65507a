"""Batch's core with a real database in memory and no engine: the test says what engines saw.

Time stands still until a test moves it. What is asserted is read from committed rows, as the API
would read it, or from the orders that went out to engines.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import apsw
import msgspec

from tidemill.platform.clock import Now
from tidemill.platform.core import Event, Outcome
from tidemill.platform.engine import Exited, Lost, Started, Usage
from tidemill.platform.limit import LIFTED
from tidemill.platform.store import Migration, Row, Write
from tidemill.services.batch import registry_store, store
from tidemill.services.batch.command import (
    CancelJob,
    Change,
    Dependency,
    DependencyType,
    Ended,
    SubmitJob,
    TerminateJob,
)
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.dependency import FactsNeeded
from tidemill.services.batch.effect import StartAttempt, StopAttempt
from tidemill.services.batch.environment import Offer
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.job import Finished
from tidemill.services.batch.name import Names
from tidemill.services.batch.progress import AttemptDetail, ended_attempts, past_of
from tidemill.services.batch.registry import Registry
from tidemill.services.batch.request import Request
from tidemill.services.batch.state import State

T = TypeVar("T")
START_MS = 1_700_000_000_000
MIGRATIONS: list[Migration] = [*store.MIGRATIONS, *registry_store.MIGRATIONS]


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something")


class Database:
    """The rows of `platform.store.Store`, in memory and at once."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        for migration in MIGRATIONS:
            self.connection.execute(migration.sqlite)

    def commit(self, writes: Sequence[Write]) -> None:
        with self.connection:
            for write in writes:
                self.connection.executemany(_dialect(write.sql), write.rows)

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        return self.connection.execute(_dialect(sql), params).fetchall()


class World:
    """A core and what is durable of it; `restart` forgets all but that."""

    def __init__(
        self, vcpus: int = 8, memory_mib: int = 65_536, *, look_ahead: bool = False
    ) -> None:
        offer = Offer(cpu_milli=vcpus * 1000, memory_mib=memory_mib, look_ahead=look_ahead)
        self.offers = {"process": offer}
        self.database = Database()
        self.ms = 0
        self.effects: list[Any] = []
        self.events: list[Event] = []
        self._ids = 0
        self.core = self._boot()

    def _boot(self) -> BatchCore:
        registry = Registry(Names("000000000000", "us-east-1"), LIFTED, self.offers)
        registry.restore(finished(registry_store.load(self.database)))
        registry.found("00000000-0000-0000-0000-000000000000")
        core = BatchCore(registry)
        rows = finished(store.active_jobs(self.database))
        core.restore(rows, [], finished(store.next_seq(self.database)), self.now)
        return core

    def restart(self) -> None:
        """Die, and come back with what was committed."""
        self.core = self._boot()
        self.effects.clear()
        self.handle()

    @property
    def now(self) -> Now:
        return Now(wall_ms=START_MS + self.ms, mono_ms=self.ms)

    def handle(self, *messages: Any) -> Outcome:
        """One batch: decided, committed, its effects kept. Raises what a command was refused."""
        outcome = self.core.handle(messages, self.now)
        self.database.commit(outcome.writes)
        self.effects += outcome.effects
        self.events += outcome.events
        for reply in outcome.replies:
            if isinstance(reply, Exception):
                raise reply
        assert not self.core.set_aside, self.core.set_aside
        return outcome

    def pass_time(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.handle()

    # What callers do

    def submit(
        self,
        *,
        vcpus: float = 1,
        after: Sequence[str] = (),
        pairs_of: Sequence[str] = (),
        sequential: bool = False,
        **members: Any,
    ) -> str:
        """Submit a job, or an array with `array_size`; its id."""
        command = self.submission(
            vcpus=vcpus, after=after, pairs_of=pairs_of, sequential=sequential, **members
        )
        self.ask(command)
        return command.job_id

    def submission(
        self,
        *,
        vcpus: float = 1,
        after: Sequence[str] = (),
        pairs_of: Sequence[str] = (),
        sequential: bool = False,
        **members: Any,
    ) -> SubmitJob:
        self._ids += 1
        dependencies = [Dependency(job_id) for job_id in after]
        dependencies += [Dependency(job_id, DependencyType.N_TO_N) for job_id in pairs_of]
        if sequential:
            dependencies.append(Dependency(None, DependencyType.SEQUENTIAL))
        given: dict[str, Any] = {
            "job_id": f"job-{self._ids}",
            "name": "work",
            "queue": "default",
            "definition_name": "render",
            "definition_arn": "arn:aws:batch:us-east-1:000000000000:job-definition/render:1",
            "request": Request(round(vcpus * 1000), 512),
            "body": b'{"container":{"command":["true"]}}',
            "dependencies": tuple(dependencies),
        }
        return SubmitJob(**{**given, **members})

    def ask(self, command: Any) -> Any:
        """Have a command handled; facts that it needs are loaded, as `run.py` does."""
        try:
            return self.handle(command).replies[0]
        except FactsNeeded as needed:
            facts: dict[str, Ended] = {}
            for job_id in needed.job_ids:
                fact = finished(store.ended(self.database, job_id))
                assert fact is not None, f"there is no job {job_id}"
                facts[job_id] = fact
            known = {name: getattr(command, name) for name in command.__slots__}
            return self.ask(type(command)(**{**known, "ended": {**command.ended, **facts}}))

    def cancel(self, job_id: str, reason: str = "not wanted") -> bool:
        return bool(self.ask(CancelJob(job_id=job_id, reason=reason)))

    def terminate(self, job_id: str, reason: str = "enough") -> bool:
        return bool(self.ask(TerminateJob(job_id=job_id, reason=reason)))

    def change(self, operation: str, **params: Any) -> Any:
        return self.ask(Change(operation=operation, params=params, new_id=f"uuid-{self._ids}"))

    # What engines see

    def started(self, key: str, attempt: int = 1, address: str = "127.0.0.1") -> None:
        self.handle(Started(attempt_id=f"{key}/{attempt}", at_ms=self.now.wall_ms, address=address))

    def exited(self, key: str, code: int | None = 0, attempt: int = 1, reason: str = "") -> None:
        self.handle(self.exit_of(key, code, attempt, reason))

    def exit_of(self, key: str, code: int | None = 0, attempt: int = 1, reason: str = "") -> Exited:
        ran = None if code is None else self.now.wall_ms
        return Exited(
            attempt_id=f"{key}/{attempt}",
            at_ms=self.now.wall_ms,
            exit_code=code,
            started_at_ms=ran,
            reason=reason,
            usage=Usage(cpu_s=0.25),
        )

    def lost(self, key: str, attempt: int = 1) -> None:
        self.handle(Lost(attempt_id=f"{key}/{attempt}", at_ms=self.now.wall_ms))

    def run(self, key: str, code: int | None = 0, attempt: int = 1) -> None:
        """The attempt starts and ends."""
        self.started(key, attempt)
        self.exited(key, code, attempt)

    # What users and engines are told

    def take_starts(self) -> list[str]:
        """The attempts that engines were told to start since this was asked last."""
        starts = [each.attempt_id for each in self.effects if isinstance(each, StartAttempt)]
        self.effects = [each for each in self.effects if not isinstance(each, StartAttempt)]
        return starts

    def take_stops(self) -> list[str]:
        stops = [each.attempt_id for each in self.effects if isinstance(each, StopAttempt)]
        self.effects = [each for each in self.effects if not isinstance(each, StopAttempt)]
        return stops

    def job(self, job_id: str) -> store.JobRow:
        row = finished(store.job(self.database, job_id))
        assert row is not None, f"there is no job {job_id}"
        return row

    def attempts(self, key: str) -> list[AttemptDetail]:
        """The ended attempts of a job or of a child."""
        job_id, colon, index = key.partition(":")
        row = self.job(job_id)
        if not colon:
            return ended_attempts(past_of(row.progress))
        child = finished(store.child(self.database, row.seq, int(index)))
        return [] if child is None else ended_attempts(past_of(child.progress))

    def state(self, key: str) -> str:
        """What DescribeJobs says of a job, a child (`id:3`) or a node (`id#1`)."""
        return self._where(key)[0].name

    def reason(self, key: str) -> str:
        return self._where(key)[1]

    def _where(self, key: str) -> tuple[State, str]:
        mark = ":" if ":" in key else "#"
        job_id, part, index = key.partition(mark)
        row = self.job(job_id)
        if not part:
            return row.state, row.progress.status_reason or ""
        child = finished(store.child(self.database, row.seq, int(index)))
        if child is not None:
            return child.state, child.progress.status_reason or ""
        ended = finished(store.range_at(self.database, row.seq, int(index)))
        if ended is not None:
            return State.FAILED, ended.status_reason(int(index))
        state = self.core.state_of(key)
        assert state is not None, f"there is no {key}"
        return state, ""

    def counts(self, job_id: str) -> dict[str, int]:
        """An array's statusSummary, without the zeros."""
        summary = self.job(job_id).progress.status_summary or {}
        return {name: count for name, count in summary.items() if count}


def _dialect(sql: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", sql)


def remembered(core: BatchCore) -> dict[str, Any]:
    """All that a core knows of active jobs, as plain values that can be compared."""
    return {
        job_id: plain(job) for job_id, job in sorted(core.book.jobs.items()) if not job.has_ended
    }


def plain(value: Any) -> Any:
    """`value` taken apart; what refers back to a job is left out."""
    if isinstance(value, IndexSet):
        return value.ranges()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in sorted(value.items())}
    if isinstance(value, Finished):
        return None  # it has ended: only its row still tells how
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name))
            for field in fields(value)
            if field.name not in ("array", "cluster")
        }
    return value
