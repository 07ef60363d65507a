"""Arrays: children that are nothing until they begin, and a parent that follows them."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from batch_world import World

from tidemill.services.batch import event
from tidemill.services.batch.command import RetryStrategy
from tidemill.services.batch.request import Request


@pytest.fixture
def world() -> World:
    return World(vcpus=2)


def test_parent_is_pending_while_children_run_and_counts_them(world: World) -> None:
    array = world.submit(array_size=5)
    assert world.state(array) == "PENDING"
    assert world.counts(array) == {"STARTING": 2, "RUNNABLE": 3}
    assert world.take_starts() == [f"{array}:0/1", f"{array}:1/1"]
    world.started(f"{array}:0")
    assert world.counts(array) == {"STARTING": 1, "RUNNING": 1, "RUNNABLE": 3}
    assert [world.state(f"{array}:{index}") for index in (0, 1, 4)] == [
        "RUNNING",
        "STARTING",
        "RUNNABLE",
    ]


def test_parent_succeeds_when_all_children_have(world: World) -> None:
    array = world.submit(array_size=3)
    for index in range(3):
        world.run(f"{array}:{index}")
    assert world.state(array) == "SUCCEEDED"
    assert world.counts(array) == {"SUCCEEDED": 3}
    assert array not in {job.id for job in world.core.book.jobs.values() if not job.has_ended}


def test_children_run_on_when_a_sibling_fails(world: World) -> None:
    array = world.submit(array_size=3)
    world.run(f"{array}:0", code=1)
    assert world.state(array) == "PENDING"
    world.run(f"{array}:1")
    world.run(f"{array}:2")
    assert world.state(array) == "FAILED"
    assert world.reason(array) == "Array Child Job failed"
    assert world.counts(array) == {"SUCCEEDED": 2, "FAILED": 1}


def test_child_is_tried_again_on_its_own(world: World) -> None:
    array = world.submit(array_size=2, retry=RetryStrategy(2))
    world.run(f"{array}:0", code=1)
    assert world.state(f"{array}:0") == "STARTING"
    assert f"{array}:0/2" in world.take_starts()
    world.run(f"{array}:0", attempt=2)
    world.run(f"{array}:1")
    assert world.state(array) == "SUCCEEDED"


def test_ranges_of_children_are_one_event(world: World) -> None:
    array = world.submit(array_size=1000)
    steps = [list(event.steps(each.body)) for each in world.events]
    assert len(world.events) == 3  # the parent, those made runnable, those being started
    assert sum(len(each) for each in steps) == 2 + 1000 + 2
    assert {each.job_id.partition(":")[0] for group in steps for each in group} == {array}


@pytest.mark.parametrize("kind", ["cancel", "terminate"])
def test_array_that_waits_ends_with_all_children_at_once(world: World, kind: str) -> None:
    world.submit(vcpus=2)
    array = world.submit(array_size=1000)
    assert getattr(world, kind)(array, "no longer needed")
    assert world.state(array) == "FAILED"
    assert world.reason(array) == "no longer needed"
    assert world.counts(array) == {"FAILED": 1000}
    assert world.reason(f"{array}:999") == "no longer needed"
    progress = world.job(array).progress
    assert (progress.is_cancelled, progress.is_terminated) == (
        kind == "cancel",
        kind == "terminate",
    )


def test_cancelled_array_lets_started_children_finish(world: World) -> None:
    array = world.submit(array_size=4, retry=RetryStrategy(2))
    world.started(f"{array}:0")
    world.cancel(array, "stop here")
    assert world.take_stops() == []
    assert world.state(array) == "PENDING"
    world.exited(f"{array}:0")
    world.run(f"{array}:1", code=1)  # not tried again: the array is cancelled
    assert world.state(array) == "FAILED"
    assert world.reason(array) == "stop here"
    assert world.counts(array) == {"SUCCEEDED": 1, "FAILED": 3}


def test_terminated_array_ends_after_its_children(world: World) -> None:
    array = world.submit(array_size=4)
    world.started(f"{array}:0")
    world.terminate(array, "enough")
    assert world.take_stops() == [f"{array}:0/1", f"{array}:1/1"]
    assert world.state(array) == "PENDING"
    world.exited(f"{array}:0", 143)
    world.exited(f"{array}:1", None)
    assert world.state(array) == "FAILED"
    assert [world.reason(f"{array}:{index}") for index in range(4)] == ["enough"] * 4


def test_one_child_can_be_stopped(world: World) -> None:
    array = world.submit(array_size=4)
    assert world.cancel(f"{array}:3", "not this one")
    assert world.terminate(f"{array}:0", "nor this")
    assert not world.cancel(f"{array}:3")
    assert not world.cancel(f"{array}:7")
    assert world.state(f"{array}:3") == "FAILED"
    assert world.take_stops() == [f"{array}:0/1"]
    world.exited(f"{array}:0", 143)
    world.run(f"{array}:1")
    world.run(f"{array}:2")
    assert world.counts(array) == {"SUCCEEDED": 2, "FAILED": 2}
    assert world.reason(f"{array}:0") == "nor this"


def test_child_that_waits_for_its_next_attempt_can_be_cancelled(world: World) -> None:
    blocker = [world.submit(), world.submit()]
    array = world.submit(array_size=2, retry=RetryStrategy(3))
    other = world.submit()
    world.run(blocker[0])
    world.exited(f"{array}:0", 1)
    assert world.state(other) == "RUNNABLE"
    assert world.state(f"{array}:0") == "STARTING"
    world.submit(vcpus=2, priority=9)
    world.cancel(array)
    world.exited(f"{array}:0", 1, attempt=2)
    assert world.state(array) == "FAILED"


def test_unstarted_children_of_a_restarted_server_are_what_they_were(world: World) -> None:
    array = world.submit(array_size=6)
    world.run(f"{array}:0")
    world.started(f"{array}:1")
    world.cancel(f"{array}:4")
    before = [world.state(f"{array}:{index}") for index in range(6)]
    world.restart()
    assert [world.state(f"{array}:{index}") for index in range(6)] == before
    assert before == ["SUCCEEDED", "RUNNING", "STARTING", "RUNNABLE", "FAILED", "RUNNABLE"]


def test_million_children_are_accepted_at_once_and_for_little(world: World) -> None:
    small = world.submission(array_size=2, request=Request(1000, 512))
    world.ask(small)
    command = world.submission(array_size=1_000_000)
    tracemalloc.start()
    began = time.perf_counter()
    world.ask(command)
    took_s = time.perf_counter() - began
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took_s < 0.05
    assert peak_bytes < 1_000_000
