"""Why is it waiting: the sentence a person reads, and its code that rules go by."""

from __future__ import annotations

import pytest

from tidemill.services.batch.scheduling.spec import FairShare


@pytest.fixture
def full(world):
    """Six of eight vCPUs in use, and three little jobs in line before a larger one."""
    world.environment(vcpus=8).queue()
    world.submit("running", world.asks(6))
    world.cycle()
    world.submit("first", world.asks(4))
    world.submit("array", size=2)
    world.submit("last", world.asks(4))
    world.cycle()
    return world


def test_no_room_names_need_free_and_those_before(full) -> None:
    assert full.why("last") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 4 vCPU; `local` has 2 of 8 free;"
        " 3 jobs are before it"
    )
    assert full.why("first") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 4 vCPU; `local` has 2 of 8 free"
    )


def test_one_that_only_waits_its_turn_says_for_whom(full) -> None:
    assert full.why("array:1") == (
        "2 jobs are before it; the first, first, needs 4 vCPU; `local` has 2 of 8 free"
    )


def test_several_resources_and_environments_are_all_told(world) -> None:
    world.environment("a", vcpus=2, memory_mib=1024).environment("b", vcpus=1, enabled=False)
    world.queue("default", "a", "b")
    world.submit("one", world.asks(1.5, 1000))
    world.cycle()
    world.submit("two", world.asks(1.5, 1000))
    assert world.why("two") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 1.5 vCPU and 1000 MiB;"
        " `a` has 0.5 of 2 vCPU and 24 of 1024 MiB free; `b` is DISABLED"
    )


def test_a_job_that_can_never_run_says_so_at_once(full) -> None:
    full.submit("huge", full.asks(16))
    assert full.why("huge").startswith(
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - needs 16 vCPU; `local` has 8 in all;"
        " ask for less, or raise maxvCpus"
    )
    full.submit("graphic", full.asks(1, gpus=1))
    assert full.why("graphic").startswith(
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - needs 1 GPU; `local` has 0 in all;"
        " ask for less, or for another queue"
    )
    full.submit("large", full.asks(8))
    assert not full.why("large").startswith("MISCONFIGURATION")


def test_closed_environments_ask_for_a_hand(full) -> None:
    full.environment(vcpus=8, valid=False)
    assert full.why("first") == (
        "ACTION_REQUIRED - needs 4 vCPU; `local` is INVALID; enable one that can hold it"
    )


def test_room_kept_for_another_queue_names_the_job(full) -> None:
    full.queue("low", priority=0)
    full.submit("little", queue="low")
    full.cycle()
    assert full.why("little") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 1 vCPU; `local` has 2 of 8 free,"
        " kept for job first of queue `default`"
    )


def test_a_consumable_says_how_much_is_free(world) -> None:
    world.environment().queue().consumable("api", 3).consumable("token", 1, replenishable=False)
    world.submit("calls", world.asks(1, api=2), size=2)
    world.cycle()
    assert world.why("calls") == "needs 2 of `api`; 1 of 3 free"
    world.submit("spends", world.asks(1, token=2))
    assert world.why("spends") == (
        "needs 2 of `token`; 1 of 1 free; raise its quantity with UpdateConsumableResource;"
        " 1 job is before it"
    )
    world.submit("lost", world.asks(1, nothing=1))
    assert "`nothing`, a consumable resource that does not exist" in world.why("lost")


def test_a_share_says_who_stands_before_it(world) -> None:
    world.environment(vcpus=2).queue(policy=FairShare(decay_s=60))
    world.submit("a", share="A", size=9)
    world.cycle()
    world.submit("b", share="B")
    world.submit("later", share="A")
    assert world.why("later") == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 1 vCPU; `local` has 0 of 2 free;"
        " 7 jobs of share `A` are before it; 1 share is before share `A`"
    )


def test_the_reserve_says_what_it_keeps(world) -> None:
    world.environment(vcpus=8).queue(policy=FairShare(decay_s=60, reservation_percent=50))
    world.submit("a", share="A", size=9)
    world.cycle()
    assert world.why("a") == (
        "needs 1 vCPU; queue `default` has 4 of 8 in use and its policy keeps 4 for shares that"
        " are not active (1 active)"
    )


def test_conditions_list_what_holds_and_what_does_not(full) -> None:
    full.consumable("api", 1)
    full.submit("calls", full.asks(1, api=1))
    conditions = full.scheduler.conditions("calls", full.now)
    assert [(each.name, each.holds) for each in conditions] == [
        ("turn", False),
        ("consumable api", True),
        ("environment local", True),
    ]
    assert conditions[0].detail == "4 jobs are before it"


def test_counting_stops_at_a_bound_and_says_so(small) -> None:
    small.submit("big", small.asks(2))
    small.cycle()
    small.submit("array", size=1_000_000)
    for n in range(1500):
        small.submit(f"job{n}")
    assert small.why("array:999999").endswith("; 999999 jobs are before it")
    assert small.why("job1499").endswith("; at least 1001499 jobs are before it")


def test_a_blocked_queue_tells_its_head_the_reason_and_since_when(full) -> None:
    full.ms = 5000
    full.submit("more")
    full.cycle()
    (blocked,) = full.scheduler.blocked(full.now)
    assert (blocked.queue, blocked.job_id, blocked.since.mono_ms) == ("default", "first", 0)
    assert blocked.reason == full.why("first")
    full.environment(vcpus=64)
    full.cycle()
    assert full.scheduler.blocked(full.now) == []


def test_an_array_that_moves_on_is_blocked_anew(small) -> None:
    small.submit("array", size=9)
    small.cycle()
    small.ms = 7000
    small.release("array:0")
    small.cycle()
    (blocked,) = small.scheduler.blocked(small.now)
    assert blocked.since.mono_ms == 7000


def test_a_job_taken_away_blocks_no_more(full) -> None:
    for job_id in ("first", "array", "last"):
        full.scheduler.remove(job_id)
    assert full.scheduler.blocked(full.now) == []


def test_the_front_of_a_queue_lists_children_in_order(full) -> None:
    assert full.scheduler.front("default", full.now, limit=3) == [
        ("first", None),
        ("array", 0),
        ("array", 1),
    ]


def test_the_front_of_a_fair_share_queue_is_what_would_start_next(world) -> None:
    world.environment(vcpus=1).queue(policy=FairShare(decay_s=60, weights=(("A", 0.5), ("B", 1.0))))
    world.submit("a", share="A", size=50)
    world.submit("b", share="B", size=50)
    world.submit("urgent", share="B", priority=1)
    foreseen = world.scheduler.front("default", world.now, limit=12)
    world.environment(vcpus=12)
    started = [each.partition("@")[0] for each in world.cycle()]
    assert started == [job if index is None else f"{job}:{index}" for job, index in foreseen]


def test_who_does_not_wait_has_no_explanation(full) -> None:
    with pytest.raises(KeyError):
        full.why("running")
