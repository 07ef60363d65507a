"""What an active job costs in memory, the scheduler's part included."""

from __future__ import annotations

import gc
import tracemalloc
import uuid
from collections.abc import Callable

import pytest
from batch_world import World

JOBS = 5_000


def bytes_each(world: World, submit: Callable[[str], object]) -> float:
    """How many bytes each of many jobs adds to a core that has some already."""
    for _ in range(100):
        submit(str(uuid.uuid4()))
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(JOBS):
        submit(str(uuid.uuid4()))
    world.effects.clear()
    world.events.clear()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / JOBS


@pytest.fixture
def world() -> World:
    world = World()
    world.change("UpdateComputeEnvironment", computeEnvironment="local", state="DISABLED")
    return world


def test_job_that_waits_for_room_costs_less_than_700_bytes(world: World) -> None:
    def submit(job_id: str) -> None:
        world.core.handle([world.submission(job_id=job_id)], world.now)

    assert bytes_each(world, submit) < 700


def test_job_that_waits_for_another_costs_less_than_700_bytes(world: World) -> None:
    first = world.submit()

    def submit(job_id: str) -> None:
        world.core.handle([world.submission(job_id=job_id, after=[first])], world.now)

    assert bytes_each(world, submit) < 700


def test_array_that_waits_costs_less_than_2_kilobytes(world: World) -> None:
    def submit(job_id: str) -> None:
        command = world.submission(job_id=job_id, array_size=10_000_000)
        world.core.handle([command], world.now)

    assert bytes_each(world, submit) < 2_000
