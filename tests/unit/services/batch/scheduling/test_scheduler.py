"""Admission over queues and environments, as a user of the queues would see it."""

from __future__ import annotations


def test_jobs_start_in_the_order_of_their_submission(small) -> None:
    world = small
    for name in "abc":
        world.submit(name)
    assert world.cycle() == ["a@local", "b@local"]
    assert world.cycle() == []
    world.release("a")
    assert world.cycle() == ["c@local"]


def test_an_array_gives_its_children_one_by_one(small) -> None:
    world = small
    world.submit("array", size=3)
    world.submit("after")
    assert world.cycle() == ["array:0@local", "array:1@local"]
    world.release("array:0", "array:1")
    assert world.cycle() == ["array:2@local", "after@local"]


def test_a_child_that_is_put_back_goes_first_again(small) -> None:
    world = small.environment(vcpus=1)
    array = world.submit("array", size=3)
    assert world.cycle() == ["array:0@local"]
    world.release("array:0")
    array.indexes.add(0)
    world.scheduler.add(array)
    assert world.cycle() == ["array:0@local"]


def test_an_array_whose_last_child_was_taken_is_added_again(small) -> None:
    world = small.environment(vcpus=1)
    array = world.submit("array", size=1)
    world.cycle()
    world.release("array:0")
    array.indexes.add(0)
    world.scheduler.add(array)
    assert world.cycle() == ["array:0@local"]


def test_an_array_emptied_by_cancellation_leaves_the_line(small) -> None:
    world = small.environment(vcpus=1)
    array = world.submit("array", size=1)
    world.submit("next")
    array.indexes.discard(0)
    world.scheduler.add(array)
    assert world.cycle() == ["next@local"]


def test_the_queue_of_higher_priority_goes_first(small) -> None:
    world = small.environment(vcpus=1).queue("urgent", priority=10)
    world.submit("plain")
    world.submit("pressing", queue="urgent")
    assert world.cycle() == ["pressing@local"]
    world.release("pressing")
    assert world.cycle() == ["plain@local"]


def test_queues_of_one_priority_share_one_order(small) -> None:
    world = small.environment(vcpus=1).queue("other")
    for name, queue in (("a", "default"), ("b", "other"), ("c", "default"), ("d", "other")):
        world.submit(name, queue=queue)
    order = []
    for _ in range(4):
        (started,) = world.cycle()
        order.append(started.partition("@")[0])
        world.release(order[-1])
    assert order == ["a", "b", "c", "d"]


def test_the_next_environment_is_used_when_the_first_is_full(world) -> None:
    world.environment("spot", vcpus=1).environment("demand", vcpus=1)
    world.queue("default", "spot", "demand")
    for name in "abc":
        world.submit(name)
    assert world.cycle() == ["a@spot", "b@demand"]
    world.release("b")
    assert world.cycle() == ["c@demand"]


def test_a_disabled_environment_takes_nothing_and_keeps_what_runs(small) -> None:
    world = small
    world.submit("a")
    assert world.cycle() == ["a@local"]
    world.environment(vcpus=2, enabled=False)
    world.submit("b")
    assert world.cycle() == []
    assert world.scheduler.environment_use("local").running == 1
    world.environment(vcpus=2)
    assert world.cycle() == ["b@local"]


def test_a_job_taken_back_never_starts(small) -> None:
    world = small.environment(vcpus=1)
    world.submit("a")
    world.submit("b")
    world.scheduler.remove("a")
    world.scheduler.remove("never there")
    assert world.cycle() == ["b@local"]


def test_a_late_or_repeated_end_is_no_matter(small) -> None:
    world = small.environment(vcpus=1)
    world.submit("a")
    world.cycle()
    world.release("a")
    assert world.scheduler.release("a", world.now) is None
    assert world.scheduler.environment_use("local").cpu_milli == 0


def test_what_ran_before_a_restart_holds_its_room(small) -> None:
    world = small
    world.scheduler.occupy("old", "default", "local", world.asks(2), "", world.now)
    world.submit("new")
    assert world.cycle() == []
    world.release("old")
    assert world.cycle() == ["new@local"]


def test_fractions_of_a_vcpu_add_up(small) -> None:
    world = small.environment(vcpus=1)
    for name in "abcde":
        world.submit(name, world.asks(0.25))
    assert len(world.cycle()) == 4
