"""Batch as the server runs it, on each store; its engine only takes orders down."""

from __future__ import annotations

import asyncio

import pytest
from batch_house import House, NewStore, living, submission

from tidemill.platform.clock import Now, VirtualClock
from tidemill.platform.engine import Exited
from tidemill.services.batch import store
from tidemill.services.batch.command import (
    CancelJob,
    Dependency,
    DependencyType,
    RetryStrategy,
)
from tidemill.services.batch.description import describe
from tidemill.services.batch.error import Refused
from tidemill.services.batch.extension import Backoff, Extension
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.progress import status_summary
from tidemill.services.batch.request import Request
from tidemill.services.batch.state import State

NONE = {state.name: 0 for state in State}


async def ranges(house: House, job_id: str) -> list[store.RangeRow]:
    row = await store.job(house.database, job_id)
    assert row is not None
    return await store.ranges(house.database, row.seq)


def test_attempt_is_told_all_that_the_job_says(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.runtime.submit(submission("a", array_size=2))
        await house.engine.until(lambda: "a:1/1" in house.engine.started)

    attempt = living(new_store, story).started["a:1/1"]
    assert attempt.command == ("render", "3")
    assert attempt.working_directory == "/srv"
    assert attempt.ulimits == (("nofile", 10, 20),)
    assert attempt.pool == "local"
    wanted = {
        "MODE": "fast",
        "AWS_REGION": "x",
        "TOKEN": "a:1/1",
        "AWS_BATCH_JOB_ID": "a:1",
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JQ_NAME": "default",
        "AWS_BATCH_CE_NAME": "local",
        "AWS_BATCH_JOB_ARRAY_INDEX": "1",
        "AWS_BATCH_JOB_ARRAY_SIZE": "2",
        "TIDEMILL_DIRECTORY": "/srv",
    }
    assert attempt.environment == wanted


def test_job_runs_to_its_end_and_its_attempt_is_settled(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.runtime.submit(submission("a"))
        await house.engine.until(lambda: house.engine.settled)
        assert await house.state("a") is State.SUCCEEDED

    assert living(new_store, story, finishes=True).settled == ["a/1"]


def test_the_last_attempt_of_an_environment_is_settled_where_it_ran(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.change(
            "CreateComputeEnvironment",
            computeEnvironmentName="elsewhere",
            type="MANAGED",
            computeResources={"type": "EC2", "maxvCpus": 1},
            tags={"tidemill:engine": "other"},
        )
        order = [{"order": 1, "computeEnvironment": "elsewhere"}]
        await house.change(
            "CreateJobQueue", jobQueueName="q", priority=1, computeEnvironmentOrder=order
        )
        await house.runtime.submit(submission("a", queue="q"))
        await house.other.until(lambda: "a/1" in house.other.started)
        house.other.start_seen("a/1")
        order = [{"order": 1, "computeEnvironment": "local"}]
        await house.change("UpdateJobQueue", jobQueue="q", computeEnvironmentOrder=order)
        name = {"computeEnvironment": "elsewhere"}
        await house.change("UpdateComputeEnvironment", **name, state="DISABLED")
        await house.change("DeleteComputeEnvironment", **name)
        house.other.exit("a/1")
        await house.other.until(lambda: house.other.settled)
        assert not house.engine.settled

    living(new_store, story)


def test_dependency_on_a_job_that_ended_long_ago_is_looked_up(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.runtime.submit(submission("a"))
        await house.engine.until(lambda: house.engine.settled)
        await house.runtime.submit(submission("b", dependencies=(Dependency("a"),)))
        await house.engine.until(lambda: "b/1" in house.engine.started)
        with pytest.raises(Refused, match="no job nobody"):
            await house.runtime.submit(submission("c", dependencies=(Dependency("nobody"),)))

    living(new_store, story, finishes=True)


def test_restarted_server_asks_after_what_ran_and_starts_what_may_not_have(
    new_store: NewStore,
) -> None:
    async def first(house: House) -> None:
        await house.runtime.submit(submission("a"))
        await house.runtime.submit(submission("b"))
        await house.engine.until(lambda: len(house.engine.started) == 2)
        house.engine.start_seen("a/1")
        assert await house.state("a") is State.RUNNING

    async def second(house: House) -> None:
        await house.engine.until(lambda: house.engine.recovered and house.engine.started)
        house.engine.exit("a/1")
        assert await house.state("a") is State.SUCCEEDED

    living(new_store, first)
    engine = living(new_store, second)
    assert engine.recovered == ["a/1"]
    assert list(engine.started) == ["b/1"]
    assert [pool.name for pool in engine.pools] == ["local"]


def test_delays_and_pauses_are_taken_up_where_they_were(new_store: NewStore) -> None:
    clock = VirtualClock()
    delayed = Extension(delay_ms=60_000)
    pausing = Extension(backoff=Backoff(60_000, 60_000))

    async def first(house: House) -> None:
        await house.runtime.submit(submission("a", extension=delayed))
        await house.runtime.submit(submission("b", extension=delayed, array_size=2))
        retry = RetryStrategy(2)
        await house.runtime.submit(submission("c", extension=pausing, retry=retry))
        await house.engine.until(lambda: "c/1" in house.engine.started)
        at_ms = clock.now().wall_ms
        house.engine.observe(
            Exited(attempt_id="c/1", at_ms=at_ms, exit_code=1, started_at_ms=at_ms)
        )
        assert await house.state("c") is State.RUNNABLE
        assert list(house.engine.started) == ["c/1"]
        clock.advance(20_000)

    async def second(house: House) -> None:
        assert await house.state("a") is State.PENDING
        assert "31 s from now" in str(house.runtime.status_reason("a"))
        assert "31 s from now" in str(house.runtime.status_reason("b:1"))
        assert " s more before attempt 2 of 2" in str(house.runtime.status_reason("c"))
        assert not house.engine.started
        clock.advance(31_000)
        await house.engine.until(lambda: len(house.engine.started) == 4)
        assert set(house.engine.started) == {"a/1", "b:0/1", "b:1/1", "c/2"}

    living(new_store, first, clock)
    clock.advance(9_000)
    living(new_store, second, clock)


def test_who_waits_is_never_shown_without_a_reason(new_store: NewStore) -> None:
    """Though it ends while its row is read, which says that it waits still."""

    async def story(house: House) -> None:
        for number in range(20):
            job_id = f"job-{number}"
            await house.runtime.submit(submission(job_id, request=Request(5000, 512)))
            cancel = house.runtime.cancel(CancelJob(job_id=job_id, reason="not needed"))
            (shown,), _ = await asyncio.gather(describe(house.runtime, [JobId(job_id)]), cancel)
            assert "statusReason" in shown, shown["status"]

    living(new_store, story)


def test_job_without_a_program_fails_and_says_so(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.runtime.submit(submission("a", body=b"{}"))
        await house.engine.until(lambda: house.engine.settled)
        row = await store.job(house.database, "a")
        assert row is not None
        assert row.state is State.FAILED
        assert "tells of no container" in (row.progress.container.reason or "")

    living(new_store, story)


def test_what_ended_long_ago_is_forgotten_in_steps(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        await house.runtime.submit(submission("a", array_size=5000, request=Request(1, 1)))
        await house.engine.until(lambda: len(house.engine.settled) == 5000)
        assert await house.state("a") is State.SUCCEEDED
        now = house.runtime.now()
        later = Now(wall_ms=now.wall_ms + 61_000, mono_ms=now.mono_ms)
        steps = 0
        while await house.state("a") is not None:
            await house.runtime.expire(later)
            steps += 1
        assert steps == 3
        assert await house.database.fetch("SELECT COUNT(*) FROM batch_child") == [(0,)]

    living(new_store, story, finishes=True)


def test_arrays_are_taken_up_where_they_were(new_store: NewStore) -> None:
    pair = Dependency("a", DependencyType.N_TO_N)

    async def first(house: House) -> None:
        await house.runtime.submit(submission("a", array_size=6))
        await house.runtime.submit(submission("b", array_size=6, dependencies=(pair,)))
        await house.engine.until(lambda: len(house.engine.started) == 4)
        house.engine.exit("a:0/1", 0)
        house.engine.exit("a:1/1", 1)
        house.engine.start_seen("a:2/1")
        await house.runtime.cancel(CancelJob(job_id="a:5", reason="not this one"))
        await house.engine.until(lambda: "a:4/1" in house.engine.started)

    async def second(house: House) -> None:
        await house.engine.until(lambda: house.engine.recovered)
        known = house.runtime.core.book.jobs
        assert {job_id: status_summary(known[job_id]) for job_id in ("a", "b")} == before
        for index in (2, 3, 4):
            house.engine.exit(f"a:{index}/1")
        for index in (0, 2, 3, 4):
            await house.engine.until(lambda: f"b:{index}/1" in house.engine.started)  # noqa: B023
            house.engine.exit(f"b:{index}/1")
        assert await house.state("a") is State.FAILED
        row = await store.job(house.database, "b")
        assert row is not None
        assert row.state is State.FAILED
        assert row.progress.status_summary is not None
        assert row.progress.status_summary["SUCCEEDED"] == 4
        failed = {each.first: each.status_reason(each.first) for each in await ranges(house, "b")}
        assert failed == {1: "Dependent Job failed: a:1", 5: "Dependent Job failed: a:5"}

    living(new_store, first)
    before = {
        "a": {**NONE, "STARTING": 2, "RUNNING": 1, "SUCCEEDED": 1, "FAILED": 2},
        "b": {**NONE, "PENDING": 3, "STARTING": 1, "FAILED": 2},
    }
    living(new_store, second)
