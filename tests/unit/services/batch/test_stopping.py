"""CancelJob, TerminateJob, and the actions of a queue on its head."""

from __future__ import annotations

import pytest
from batch_world import World

from tidemill.services.batch import event
from tidemill.services.batch.effect import StopAttempt

CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_LARGE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"


@pytest.fixture
def world() -> World:
    return World(vcpus=2)


def test_cancel_ends_what_waits_and_leaves_what_runs(world: World) -> None:
    running = world.submit(vcpus=2)
    waiting = world.submit()
    dependant = world.submit(after=[running])
    assert world.cancel(waiting, "no need")
    assert world.cancel(dependant, "nor this")
    assert world.cancel(running)
    assert world.reason(waiting) == "no need"
    assert world.reason(dependant) == "nor this"
    assert world.job(waiting).progress.is_cancelled
    assert world.state(running) == "STARTING"
    assert world.take_stops() == []
    world.run(running)
    assert world.state(running) == "SUCCEEDED"


def test_terminate_stops_with_the_grace_of_the_job(world: World) -> None:
    job = world.submit(stop_grace_s=2.0)
    world.started(job)
    world.terminate(job, "enough")
    world.terminate(job, "really")
    (order,) = (each for each in world.effects if isinstance(each, StopAttempt))
    assert order.grace_s == 2.0
    assert world.state(job) == "RUNNING"
    world.exited(job, 143)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "enough"


def test_terminate_takes_back_what_its_engine_has_not_started(world: World) -> None:
    job = world.submit()
    world.terminate(job)
    world.exited(job, None)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "enough"


def test_stopping_what_has_ended_or_never_was_is_nothing(world: World) -> None:
    job = world.submit()
    world.run(job)
    assert not world.cancel(job)
    assert not world.terminate(job)
    assert not world.terminate("nobody")
    assert not world.terminate(f"{job}:0")


def blocked(world: World) -> list[dict[str, str]]:
    found = (each.body for each in world.events if each.kind == event.QUEUE_BLOCKED)
    return [event.queue_blocked_detail(body, {}) for body in found]


def limit(world: World, reason: str, seconds: int) -> None:
    action = {
        "reason": reason,
        "state": "RUNNABLE",
        "maxTimeSeconds": seconds,
        "action": "CANCEL",
    }
    world.change("UpdateJobQueue", jobQueue="default", jobStateTimeLimitActions=[action])


def test_head_that_can_never_run_is_told_of_at_once(world: World) -> None:
    job = world.submit(vcpus=3)
    (detail,) = blocked(world)
    assert detail["jobId"] == job
    assert detail["statusReason"].startswith(TOO_LARGE)
    world.pass_time(2000)
    assert len(blocked(world)) == 1


def test_head_that_waits_for_room_is_told_of_after_ten_minutes(world: World) -> None:
    first = world.submit(vcpus=2)
    world.started(first)
    job = world.submit()
    world.pass_time(2)
    due_ms = world.core.next_wake_ms
    assert due_ms is not None
    assert blocked(world) == []
    world.pass_time(due_ms / 1000 - world.ms / 1000)
    assert [detail["jobId"] for detail in blocked(world)] == [job]
    assert due_ms == 600_000


def test_queue_cancels_a_head_that_waits_too_long_for_the_reason_given(world: World) -> None:
    limit(world, CAPACITY, 700)
    world.started(world.submit(vcpus=2))
    job, behind = world.submit(vcpus=2), world.submit(array_size=3)
    world.pass_time(2)
    world.pass_time(697)
    assert world.state(job) == "RUNNABLE"
    world.pass_time(1)
    assert world.state(job) == "FAILED"
    assert world.reason(job).startswith(CAPACITY)
    assert world.job(job).progress.is_cancelled
    assert world.state(behind) == "PENDING"


def test_queue_leaves_a_head_alone_that_waits_for_another_reason(world: World) -> None:
    limit(world, TOO_LARGE, 600)
    world.started(world.submit(vcpus=2))
    job = world.submit()
    world.pass_time(2)
    world.pass_time(5000)
    assert world.state(job) == "RUNNABLE"
