"""Multi-node jobs: placed together, faring as their main node does."""

from __future__ import annotations

from typing import Any

import pytest
from batch_world import World

from tidemill.services.batch.command import NodeGroup, Nodes, RetryStrategy
from tidemill.services.batch.effect import StartAttempt
from tidemill.services.batch.extension import Backoff, Extension
from tidemill.services.batch.launch import batch_variables
from tidemill.services.batch.request import Request


@pytest.fixture
def world() -> World:
    return World(vcpus=4)


def submit(world: World, count: int = 3, main: int = 0, **members: Any) -> str:
    each = Request(1000, 512)
    group = NodeGroup(first=0, last=count - 1, request=each)
    return world.submit(
        nodes=Nodes(count=count, main=main, groups=(group,)),
        request=Request(1000 * count, 512 * count),
        **members,
    )


def test_others_start_when_the_main_node_runs(world: World) -> None:
    job = submit(world, main=1)
    assert world.take_starts() == [f"{job}#1/1"]
    assert world.state(job) == "STARTING"
    world.started(f"{job}#1", address="10.0.0.7")
    assert world.state(job) == "RUNNING"
    others = [each for each in world.effects if isinstance(each, StartAttempt)]
    assert [each.attempt_id for each in others] == [f"{job}#0/1", f"{job}#2/1"]
    variables = batch_variables(others[0])
    assert variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] == "10.0.0.7"
    assert variables["AWS_BATCH_JOB_NUM_NODES"] == "3"
    assert variables["AWS_BATCH_JOB_NODE_INDEX"] == "0"
    assert variables["AWS_BATCH_JOB_MAIN_NODE_INDEX"] == "1"
    assert variables["AWS_BATCH_JOB_ID"] == f"{job}#0"


def test_main_node_is_not_told_its_own_address(world: World) -> None:
    submit(world)
    (start,) = (each for each in world.effects if isinstance(each, StartAttempt))
    assert "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS" not in batch_variables(start)


def test_job_ends_with_its_main_node_once_the_others_are_stopped(world: World) -> None:
    job = submit(world)
    for node in range(3):
        world.started(f"{job}#{node}")
    world.exited(f"{job}#0")
    assert world.take_stops() == [f"{job}#1/1", f"{job}#2/1"]
    assert world.state(job) == "RUNNING"
    world.restart()
    assert world.take_stops() == [f"{job}#1/1", f"{job}#2/1"]
    world.exited(f"{job}#1", 143)
    world.exited(f"{job}#2", 143)
    assert world.state(job) == "SUCCEEDED"
    assert world.state(f"{job}#0") == "SUCCEEDED"
    assert world.state(f"{job}#2") == "FAILED"


def test_other_node_that_fails_changes_nothing(world: World) -> None:
    job = submit(world, count=2, retry=RetryStrategy(3))
    world.started(f"{job}#0")
    world.run(f"{job}#1", code=1)
    assert world.state(job) == "RUNNING"
    world.exited(f"{job}#0")
    assert world.state(job) == "SUCCEEDED"


def test_main_node_that_fails_has_the_whole_job_tried_again(world: World) -> None:
    job = submit(world, count=2, retry=RetryStrategy(2))
    world.started(f"{job}#0")
    world.started(f"{job}#1")
    world.take_starts()
    world.exited(f"{job}#0", 1)
    world.exited(f"{job}#1", 143)
    assert world.take_starts() == [f"{job}#0/2"]
    world.started(f"{job}#0", attempt=2)
    world.exited(f"{job}#1", 0, attempt=2)
    world.exited(f"{job}#0", 0, attempt=2)
    assert world.state(job) == "SUCCEEDED"


def test_room_is_held_for_all_nodes_until_the_last_has_ended(world: World) -> None:
    job = submit(world)
    other = world.submit(vcpus=2)
    assert world.state(other) == "RUNNABLE"
    world.started(f"{job}#0")
    world.exited(f"{job}#0")
    world.exited(f"{job}#1")
    assert world.state(other) == "RUNNABLE"
    world.exited(f"{job}#2")
    assert world.state(other) == "STARTING"


def test_timeout_covers_the_whole_job(world: World) -> None:
    job = submit(world, count=2, timeout_s=60, retry=RetryStrategy(2))
    world.started(f"{job}#0")
    world.started(f"{job}#1")
    world.pass_time(60)
    assert world.take_stops() == [f"{job}#0/1", f"{job}#1/1"]
    world.exited(f"{job}#0", 143)
    world.exited(f"{job}#1", 143)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "Job attempt duration exceeded timeout"


def test_terminate_reaches_every_node(world: World) -> None:
    job = submit(world, count=2)
    world.started(f"{job}#0")
    world.terminate(job, "enough")
    assert world.take_stops() == [f"{job}#0/1", f"{job}#1/1"]
    world.exited(f"{job}#1", None)
    world.exited(f"{job}#0", 0)
    assert world.reason(job) == "enough"


def test_main_node_that_never_starts_ends_the_job(world: World) -> None:
    job = submit(world)
    world.exited(f"{job}#0", None, reason="CannotStartContainerError: no")
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "Task failed to start"


def test_it_waits_pauses_and_is_interrupted_as_a_whole(world: World) -> None:
    asked = Extension(delay_ms=1_000, backoff=Backoff(2_000, 2_000), interrupted=75)
    job = submit(world, count=2, retry=RetryStrategy(2), extension=asked)
    assert world.state(job) == "PENDING" and not world.take_starts()
    world.pass_time(1)
    for attempt, code in ((1, 75), (2, 1)):
        assert world.state(job) == "STARTING"
        world.started(f"{job}#0", attempt)
        world.exited(f"{job}#0", code, attempt)
        world.exited(f"{job}#1", 137, attempt)
    assert world.state(job) == "RUNNABLE"
    reason = str(world.core.status_reason(job, world.now))
    assert "before attempt 2 of 2" in reason
    world.restart()
    world.pass_time(2)
    assert world.state(job) == "STARTING"
