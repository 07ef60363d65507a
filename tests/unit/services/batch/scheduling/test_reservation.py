"""What waits keeps its chance: large heads, claims on consumables, nobody held hostage."""

from __future__ import annotations


def test_a_head_without_room_holds_back_its_queue(small) -> None:
    small.submit("running")
    small.submit("large", small.asks(2))
    small.submit("little")
    assert small.cycle() == ["running@local"]
    small.release("running")
    assert small.cycle() == ["large@local"]


def test_a_head_without_room_keeps_room_from_queues_of_lower_priority(small) -> None:
    small.queue("low", priority=0)
    small.submit("running")
    small.cycle()
    small.submit("large", small.asks(2))
    small.submit("little", queue="low")
    assert small.cycle() == []
    small.release("running")
    assert small.cycle() == ["large@local"]
    small.release("large")
    assert small.cycle() == ["little@local"]


def test_a_head_does_not_hold_back_a_queue_of_higher_priority(small) -> None:
    small.queue("high", priority=9)
    small.submit("running")
    small.cycle()
    small.submit("large", small.asks(2))
    small.submit("little", queue="high")
    assert small.cycle() == ["little@local"]


def test_of_equal_queues_the_older_head_keeps_room_from_the_younger(small) -> None:
    small.queue("other")
    small.submit("running")
    small.cycle()
    small.submit("large", small.asks(2))
    small.submit("little", queue="other")
    assert small.cycle() == []


def test_what_a_head_does_not_lack_is_left_to_others(world) -> None:
    world.environment(vcpus=8, gpus=1).queue().queue("low", priority=0)
    world.submit("trains", world.asks(2, gpus=1))
    world.cycle()
    world.submit("trains-next", world.asks(2, gpus=1))
    world.submit("fits", world.asks(4), "low")
    world.submit("too-much", world.asks(1), "low")
    assert world.cycle() == ["fits@local"]
    world.release("trains")
    assert world.cycle() == ["trains-next@local", "too-much@local"]


def test_room_is_kept_in_one_environment_only(world) -> None:
    world.environment("a", vcpus=2).environment("b", vcpus=2)
    world.queue("high", "a", "b", priority=2).queue("low", "a", "b", priority=1)
    for key, environment in (("old-a", "a"), ("old-b", "b")):
        world.scheduler.occupy(key, "high", environment, world.asks(1), "", world.now)
    world.submit("large", world.asks(2), "high")
    world.submit("little", queue="low")
    world.submit("late", queue="low")
    assert world.cycle() == ["little@b"]
    world.release("little", "old-b")
    assert world.cycle() == ["large@b", "late@a"], "any room will do, and frees what was kept"


def test_a_job_that_can_never_run_keeps_nothing_from_other_queues(small) -> None:
    small.queue("low", priority=0)
    small.submit("huge", small.asks(64))
    small.submit("little", queue="low")
    assert small.cycle() == ["little@local"]


def test_a_consumable_is_held_from_start_to_end(world) -> None:
    world.environment().queue().consumable("api", 2)
    world.submit("calls", world.asks(1, api=1), size=3)
    assert len(world.cycle()) == 2
    assert world.scheduler.consumable_in_use("api") == 2
    world.release("calls:0")
    assert world.cycle() == ["calls:2@local"]


def test_waiting_for_a_consumable_holds_back_only_those_who_want_it(world) -> None:
    world.environment().queue().consumable("api", 1)
    world.submit("first", world.asks(1, api=1))
    world.submit("second", world.asks(1, api=1))
    world.submit("free")
    assert world.cycle() == ["first@local", "free@local"]


def test_a_large_demand_for_a_consumable_is_not_starved_by_small_ones(world) -> None:
    world.environment().queue().queue("low", priority=0).consumable("api", 2)
    world.submit("one", world.asks(1, api=1))
    world.cycle()
    world.submit("both", world.asks(1, api=2))
    world.submit("small", world.asks(1, api=1))
    world.submit("small-elsewhere", world.asks(1, api=1), "low")
    assert world.cycle() == []
    world.release("one")
    assert world.cycle() == ["both@local"]


def test_a_job_that_waits_for_a_top_up_holds_nothing_else_hostage(world) -> None:
    world.environment().queue().consumable("api", 1).consumable("token", 0, replenishable=False)
    world.submit("stuck", world.asks(1, api=1, token=1))
    world.submit("goes", world.asks(1, api=1))
    assert world.cycle() == ["goes@local"]


def test_what_is_not_replenishable_is_spent_by_those_that_ran(world) -> None:
    world.environment().queue().consumable("token", 3, replenishable=False)
    for name in "abcd":
        world.submit(name, world.asks(1, token=1))
    assert len(world.cycle()) == 3
    released = world.scheduler.release("a", world.now)
    assert released is not None and released.spent == (("token", 1),)
    assert world.cycle() == []
    never_ran = world.scheduler.release("b", world.now, spend=False)
    assert never_ran is not None and never_ran.spent == ()
    assert world.cycle() == ["d@local"]


def test_a_consumable_that_is_made_later_lets_its_jobs_go(small) -> None:
    small.submit("waits", small.asks(1, api=1))
    assert small.cycle() == []
    small.consumable("api", 1)
    assert small.cycle() == ["waits@local"]


def test_a_consumable_removed_in_use_is_remembered_until_it_is_free(world) -> None:
    world.environment().queue().consumable("api", 2)
    world.submit("a", world.asks(1, api=2))
    world.cycle()
    world.scheduler.remove_consumable("api")
    world.submit("b", world.asks(1, api=1))
    assert world.cycle() == []
    world.consumable("api", 2)
    assert world.cycle() == []
    world.release("a")
    assert world.cycle() == ["b@local"]
