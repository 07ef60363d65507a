"""The life of single jobs, from submission to the end, as rows and orders tell it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from batch_world import World

from tidemill.platform.engine import Exited
from tidemill.platform.limit import AWS
from tidemill.services.batch import event
from tidemill.services.batch.effect import StopAttempt
from tidemill.services.batch.error import Refused


@pytest.fixture
def world() -> World:
    return World(vcpus=2)


def told(world: World) -> list[tuple[str, str]]:
    """The state changes that subscribers of the feed would be sent."""
    changes = (each.body for each in world.events if each.kind == event.JOB_STATE_CHANGE)
    return [(step.job_id, step.state.name) for body in changes for step in event.steps(body)]


def test_job_is_started_run_and_ended(world: World) -> None:
    job = world.submit()
    assert world.state(job) == "STARTING"
    assert world.take_starts() == [f"{job}/1"]
    world.started(job)
    assert world.state(job) == "RUNNING"
    world.exited(job)
    assert world.state(job) == "SUCCEEDED"
    assert world.reason(job) == "Essential container in task exited"
    row = world.job(job)
    (attempt,) = world.attempts(job)
    assert attempt.container.exit_code == 0
    assert attempt.container.log_stream_name == row.progress.container.log_stream_name
    assert attempt.usage.cpu_seconds == 0.25


def test_every_state_is_told_once_and_in_order(world: World) -> None:
    job = world.submit()
    world.run(job)
    names = ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert told(world) == [(job, name) for name in names]


def test_job_waits_for_room(world: World) -> None:
    first, second = world.submit(vcpus=2), world.submit(vcpus=1)
    assert world.state(second) == "RUNNABLE"
    world.run(first)
    assert world.state(second) == "STARTING"


def test_exit_that_comes_before_its_start_was_seen_counts_as_both(world: World) -> None:
    job = world.submit()
    world.exited(job)
    assert world.state(job) == "SUCCEEDED"
    assert world.job(job).started_ms is not None
    assert (job, "RUNNING") in told(world)


@pytest.mark.parametrize("report", ["late", "twice", "unknown"])
def test_report_that_matches_nothing_is_ignored(world: World, report: str) -> None:
    job = world.submit()
    world.run(job)
    before = world.job(job)
    match report:
        case "late":
            world.started(job)
        case "twice":
            world.exited(job, 1)
        case "unknown":
            for name in ("nobody", f"{job}:0", f"{job}#0", "", "x:y", "x#y"):
                world.exited(name, 1)
    assert world.job(job) == before


def test_report_of_an_earlier_attempt_is_ignored(world: World) -> None:
    from tidemill.services.batch.command import RetryStrategy

    job = world.submit(retry=RetryStrategy(3))
    world.run(job, code=1)
    world.started(job, attempt=2)
    world.exited(job, attempt=1, code=7)
    assert world.state(job) == "RUNNING"


def test_job_that_could_not_be_started_says_why(world: World) -> None:
    job = world.submit()
    world.exited(job, None, reason="CannotStartContainerError: no such file: render")
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "Task failed to start"
    assert "no such file" in (world.job(job).progress.container.reason or "")


def test_out_of_memory_is_told_as_aws_tells_it(world: World) -> None:
    job = world.submit()
    oom = "OutOfMemoryError: Container killed due to memory usage"
    world.exited(job, 137, reason=oom)
    assert world.job(job).progress.container.reason == oom
    assert world.job(job).progress.container.exit_code == 137


def test_timeout_stops_the_attempt_and_is_not_retried(world: World) -> None:
    from tidemill.services.batch.command import RetryStrategy

    job = world.submit(timeout_s=60, retry=RetryStrategy(3))
    world.started(job)
    world.pass_time(59)
    assert world.take_stops() == []
    world.pass_time(1)
    assert world.take_stops() == [f"{job}/1"]
    world.exited(job, 143)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "Job attempt duration exceeded timeout"


def test_timeout_counts_from_the_start_over_a_restart(world: World) -> None:
    job = world.submit(timeout_s=60)
    world.started(job)
    world.pass_time(50)
    world.restart()
    world.pass_time(9)
    assert world.take_stops() == []
    world.pass_time(1)
    assert world.take_stops() == [f"{job}/1"]


def test_same_id_is_refused(world: World) -> None:
    command = world.submission()
    world.ask(command)
    with pytest.raises(Refused, match="already"):
        world.ask(command)


def test_disabled_queue_takes_no_jobs_and_lets_the_rest_finish(world: World) -> None:
    job = world.submit()
    world.change("UpdateJobQueue", jobQueue="default", state="DISABLED")
    with pytest.raises(Refused, match="DISABLED"):
        world.submit()
    world.run(job)
    assert world.state(job) == "SUCCEEDED"


def test_deleting_a_queue_ends_its_jobs(world: World) -> None:
    running, waiting = world.submit(vcpus=2), world.submit()
    world.started(running)
    world.change("UpdateJobQueue", jobQueue="default", state="DISABLED")
    world.change("DeleteJobQueue", jobQueue="default")
    assert world.state(waiting) == "FAILED"
    assert world.take_stops() == [f"{running}/1"]
    world.exited(running, 143)
    world.handle()
    assert world.reason(running) == "Job queue default is being deleted."
    assert "default" not in world.core.registry.resources.queues


def test_reason_with_bytes_that_are_no_text_is_kept_as_far_as_it_goes(world: World) -> None:
    job = world.submit()
    world.exited(job, None, reason="CannotStartContainerError: no file 'r\udcffnder'")
    assert world.job(job).progress.container.reason == (
        "CannotStartContainerError: no file 'r?nder'"
    )


def test_report_that_makes_no_sense_fails_its_own_job_and_no_other(world: World) -> None:
    job, other = world.submit(), world.submit()
    world.started(other)
    nonsense = Exited(attempt_id=f"{job}/1", at_ms=1, exit_code=1, usage=None)  # type: ignore[arg-type]
    outcome = world.core.handle([nonsense, world.exit_of(other)], world.now)
    world.database.commit(outcome.writes)
    assert [message for message, _ in world.core.set_aside] == [nonsense]
    assert world.state(job) == "FAILED"
    assert world.reason(job).startswith("Internal error: ")
    assert StopAttempt(f"{job}/1", "local", 30.0) in outcome.effects
    assert world.state(other) == "SUCCEEDED"
    world.restart()
    assert world.state(job) == "FAILED"


def test_a_queue_takes_so_many_active_shares_and_more_jobs_of_those() -> None:
    world = World(vcpus=1)
    world.core.registry.limits = replace(AWS, shares_active_max=2)
    runs = world.submit(queue="fair", share="a")
    waits = world.submit(queue="fair", share="b")
    with pytest.raises(Refused, match=r"has 2 active share identifiers, .* and c is not one"):
        world.submit(queue="fair", share="c")
    world.submit(queue="fair", share="a")
    for job in (runs, waits):
        world.run(job)
    assert world.state(world.submit(queue="fair", share="c")) == "RUNNABLE"
