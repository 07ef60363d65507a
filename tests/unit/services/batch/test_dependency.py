"""Dependencies of every kind, and how a failure goes on from job to job."""

from __future__ import annotations

import pytest
from batch_world import World

from tidemill.services.batch.command import RetryStrategy
from tidemill.services.batch.error import Refused


@pytest.fixture
def world() -> World:
    return World(vcpus=4)


def test_job_waits_for_all_that_it_depends_on(world: World) -> None:
    first, second = world.submit(), world.submit()
    third = world.submit(after=[first, second])
    assert world.state(third) == "PENDING"
    world.run(first)
    assert world.state(third) == "PENDING"
    world.run(second)
    assert world.state(third) == "STARTING"


def test_dependency_that_has_succeeded_is_none(world: World) -> None:
    first = world.submit()
    world.run(first)
    world.handle()
    assert world.state(world.submit(after=[first])) == "STARTING"


def test_failure_goes_down_and_names_the_job(world: World) -> None:
    first = world.submit()
    second = world.submit(after=[first])
    third = world.submit(after=[second])
    world.run(first, code=1)
    assert world.reason(second) == f"Dependent Job failed: {first}"
    assert world.reason(third) == f"Dependent Job failed: {second}"


def test_dependency_counts_as_failed_after_its_retries_only(world: World) -> None:
    first = world.submit(retry=RetryStrategy(2))
    second = world.submit(after=[first])
    world.run(first, code=1)
    assert world.state(second) == "PENDING"
    world.run(first, attempt=2)
    assert world.state(second) == "STARTING"


def test_dependency_on_what_failed_long_ago_fails_at_once(world: World) -> None:
    first = world.submit()
    world.run(first, code=1)
    world.handle()
    second = world.submit(after=[first])
    assert world.reason(second) == f"Dependent Job failed: {first}"


def test_array_waits_as_a_whole_and_is_waited_for_as_a_whole(world: World) -> None:
    first = world.submit(array_size=2)
    second = world.submit(array_size=3, after=[first])
    assert world.counts(second) == {"PENDING": 3}
    world.run(f"{first}:0")
    assert world.counts(second) == {"PENDING": 3}
    world.run(f"{first}:1")
    assert world.counts(second) == {"STARTING": 3}


def test_failed_array_fails_all_children_of_the_next(world: World) -> None:
    first = world.submit(array_size=2)
    second = world.submit(array_size=1000, after=[first])
    last = world.submit(after=[second])
    world.run(f"{first}:0", code=1)
    world.run(f"{first}:1")
    assert world.reason(second) == f"Dependent Job failed: {first}"
    assert world.reason(f"{second}:999") == f"Dependent Job failed: {first}"
    assert world.reason(last) == f"Dependent Job failed: {second}"


def test_one_child_can_be_depended_on(world: World) -> None:
    array = world.submit(array_size=3)
    after_one = world.submit(after=[f"{array}:1"])
    after_two = world.submit(after=[f"{array}:2"])
    world.run(f"{array}:1")
    assert world.state(after_one) == "STARTING"
    world.run(f"{array}:2", code=1)
    assert world.reason(after_two) == f"Dependent Job failed: {array}:2"
    assert world.state(world.submit(after=[f"{array}:1"])) != "PENDING"


def test_pairs_follow_each_other_child_by_child(world: World) -> None:
    first = world.submit(array_size=3)
    second = world.submit(array_size=3, pairs_of=[first])
    assert world.counts(second) == {"PENDING": 3}
    world.run(f"{first}:2")
    assert world.state(f"{second}:2") == "STARTING"
    assert world.state(f"{second}:0") == "PENDING"
    world.run(f"{first}:0", code=1)
    assert world.reason(f"{second}:0") == f"Dependent Job failed: {first}:0"
    world.run(f"{second}:2")
    world.run(f"{first}:1")
    world.run(f"{second}:1")
    assert world.counts(second) == {"SUCCEEDED": 2, "FAILED": 1}


def test_pairs_of_an_array_that_ended_know_which_children_failed(world: World) -> None:
    first = world.submit(array_size=3)
    for index in range(3):
        world.run(f"{first}:{index}", code=int(index == 1))
    world.handle()
    second = world.submit(array_size=3, pairs_of=[first])
    assert [world.state(f"{second}:{index}") for index in range(3)] == [
        "STARTING",
        "FAILED",
        "STARTING",
    ]


def test_pairs_of_two_arrays_wait_for_both(world: World) -> None:
    first, second = world.submit(array_size=2), world.submit(array_size=2)
    third = world.submit(array_size=2, pairs_of=[first, second])
    world.run(f"{first}:0")
    assert world.state(f"{third}:0") == "PENDING"
    world.run(f"{second}:0")
    assert world.state(f"{third}:0") == "STARTING"


def test_pairs_need_two_arrays_of_one_size(world: World) -> None:
    array, single = world.submit(array_size=2), world.submit()
    with pytest.raises(Refused, match="of one size"):
        world.submit(array_size=3, pairs_of=[array])
    with pytest.raises(Refused, match="needs two array jobs"):
        world.submit(array_size=3, pairs_of=[single])


def test_children_in_sequence_start_one_after_the_other(world: World) -> None:
    array = world.submit(array_size=4, sequential=True)
    assert world.counts(array) == {"STARTING": 1, "PENDING": 3}
    world.run(f"{array}:0")
    assert world.counts(array) == {"SUCCEEDED": 1, "STARTING": 1, "PENDING": 2}
    world.restart()
    assert world.counts(array) == {"SUCCEEDED": 1, "STARTING": 1, "PENDING": 2}
    world.run(f"{array}:1", code=1)
    assert world.counts(array) == {"SUCCEEDED": 1, "FAILED": 3}
    assert world.reason(f"{array}:3") == f"Dependent Job failed: {array}:1"


def test_failure_and_wait_together(world: World) -> None:
    """An array that still waits for a job loses the pairs that fail meanwhile."""
    first, gate = world.submit(array_size=2), world.submit()
    second = world.submit(array_size=2, pairs_of=[first], after=[gate])
    world.run(f"{first}:0", code=1)
    assert world.counts(second) == {"PENDING": 1, "FAILED": 1}
    world.run(gate)
    assert world.state(f"{second}:1") == "PENDING"
    world.run(f"{first}:1")
    assert world.state(f"{second}:1") == "STARTING"


def test_chain_of_thousands_fails_in_one_batch(world: World) -> None:
    first = world.submit()
    last = first
    for _ in range(5000):
        last = world.submit(after=[last])
    world.run(first, code=1)
    assert world.state(last) == "FAILED"


def test_why_names_what_is_waited_for(world: World) -> None:
    first = world.submit()
    second = world.submit(after=[first])
    array = world.submit(array_size=3, sequential=True)

    def why(job_id: str) -> str | None:
        return world.core.status_reason(job_id, world.now)

    assert why(second) == f"Waits for 1 job to succeed: {first} (STARTING)"
    assert why(f"{array}:2") == f"Waits for 1 job to succeed: {array}:1 (PENDING)"
    assert [each.name for each in world.core.conditions(second, world.now)] == ["dependency"]
    world.submit(vcpus=2)
    large = world.submit(vcpus=4)
    reason = why(large)
    assert reason is not None
    assert reason.startswith("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    assert why("nobody") is None
