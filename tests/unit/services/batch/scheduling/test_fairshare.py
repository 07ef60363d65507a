"""Shares: who goes first, what each gets, what is reserved for those that are not there."""

from __future__ import annotations

from collections import Counter

import pytest

from tidemill.platform.clock import Now
from tidemill.services.batch.scheduling.fairshare import Ledger
from tidemill.services.batch.scheduling.scheduler import Scheduler
from tidemill.services.batch.scheduling.spec import FairShare, ShareUse

EVEN = FairShare(decay_s=60)


@pytest.fixture
def fair(world):
    """Four vCPUs and a queue whose shares count alike."""
    return world.environment(vcpus=4).queue(policy=EVEN)


def names(started) -> list[str]:
    return [each.partition("@")[0] for each in started]


def test_shares_take_turns(fair) -> None:
    fair.submit("a", share="A", size=10)
    fair.submit("b", share="B", size=10)
    assert names(fair.cycle()) == ["a:0", "b:0", "a:1", "b:1"]


def test_the_share_with_less_in_use_goes_first(fair) -> None:
    fair.submit("a", share="A", size=4)
    assert names(fair.cycle()) == ["a:0", "a:1", "a:2", "a:3"]
    fair.submit("more", share="A", size=4)
    fair.submit("b", share="B", size=4)
    fair.release("a:0", "a:1")
    assert names(fair.cycle()) == ["b:0", "b:1"]


def test_what_a_share_had_counts_for_a_while_and_is_forgotten(fair) -> None:
    fair.submit("a", share="A", size=4)
    fair.cycle()
    fair.ms = 60_000
    fair.release("a:0", "a:1", "a:2", "a:3")
    fair.submit("a-next", fair.asks(4), share="A")
    fair.submit("b", fair.asks(4), share="B")
    assert names(fair.cycle()) == ["b"]
    fair.ms = 120_000
    fair.release("b")
    assert names(fair.cycle()) == ["a-next"]


def test_within_a_share_priority_goes_first_and_then_age(fair) -> None:
    fair.environment(vcpus=1)
    fair.submit("old", share="A")
    fair.submit("urgent", share="A", priority=5)
    fair.submit("urgent-too", share="A", priority=5)
    order = []
    for _ in range(3):
        (started,) = names(fair.cycle())
        order.append(started)
        fair.release(started)
    assert order == ["urgent", "urgent-too", "old"]


def test_priority_means_nothing_in_a_fifo_queue(small) -> None:
    small.environment(vcpus=1)
    small.submit("old")
    small.submit("urgent", priority=5)
    assert names(small.cycle()) == ["old"]


def test_priority_counts_across_consumables_within_a_share(fair) -> None:
    fair.environment(vcpus=1).consumable("api", 1)
    fair.submit("old", share="A")
    fair.submit("urgent", fair.asks(1, api=1), share="A", priority=5)
    assert names(fair.cycle()) == ["urgent"]


def test_a_lower_weight_factor_gets_more(world) -> None:
    world.environment(vcpus=9)
    world.queue(policy=FairShare(decay_s=600, weights=(("heavy", 0.125), ("light", 1.0))))
    world.submit("l", share="light", size=100)
    world.submit("h", share="heavy", size=100)
    counts = Counter(name.partition(":")[0] for name in names(world.cycle()))
    assert counts == {"h": 8, "l": 1}


def test_a_prefix_gives_its_weight_to_all_that_begin_with_it() -> None:
    ledger = Ledger(FairShare(weights=(("team*", 0.5), ("teamred", 0.25), ("te*", 4.0))))
    assert [ledger.weight_of(name) for name in ("teamblue", "teamred", "tea", "none")] == [
        0.5,
        0.25,
        4.0,
        1.0,
    ]


def test_a_changed_weight_counts_at_once(fair) -> None:
    fair.submit("a", share="A", size=100)
    fair.submit("b", share="B", size=100)
    started = names(fair.cycle())
    fair.queue(policy=FairShare(decay_s=60, weights=(("A", 0.1),)))
    fair.release(*started)
    counts = Counter(name.partition(":")[0] for name in names(fair.cycle()))
    assert counts == {"a": 3, "b": 1}


@pytest.mark.parametrize(("percent", "usable"), [(50, 4), (25, 6), (0, 8)])
def test_one_active_share_leaves_the_reserve_alone(world, percent: int, usable: int) -> None:
    world.environment(vcpus=8).queue(policy=FairShare(decay_s=60, reservation_percent=percent))
    world.submit("a", share="A", size=20)
    assert len(world.cycle()) == usable


def test_the_reserve_shrinks_as_shares_become_active(world) -> None:
    world.environment(vcpus=8).queue(policy=FairShare(decay_s=60, reservation_percent=50))
    world.submit("a", share="A", size=20)
    world.cycle()
    world.submit("b", share="B", size=20)
    assert names(world.cycle()) == ["b:0", "b:1"]


def test_the_reserve_never_keeps_a_share_from_its_first_job(world) -> None:
    world.environment(vcpus=8).queue(policy=FairShare(decay_s=60, reservation_percent=50))
    world.submit("a", world.asks(7), share="A")
    assert names(world.cycle()) == ["a"]


def test_use_is_remembered_over_a_restart(fair) -> None:
    fair.submit("a", share="A", size=4)
    fair.cycle()
    fair.ms = 60_000
    fair.release("a:0", "a:1", "a:2", "a:3")
    remembered = fair.scheduler.share_uses(fair.now)
    wall_ms = fair.now.wall_ms
    fair.scheduler = Scheduler()
    fair.ms = 0
    fair.environment(vcpus=4).queue(policy=EVEN)
    for use in remembered:
        fair.scheduler.restore_share(use, Now(wall_ms=wall_ms + 1000, mono_ms=0))
    fair.submit("a-next", fair.asks(4), share="A")
    fair.submit("b", fair.asks(4), share="B")
    assert names(fair.cycle()) == ["b"]


def test_what_was_remembered_compares_with_what_ran_since(fair) -> None:
    fair.ms = 10_000_000
    heavy = ShareUse(queue="default", share="A", average_milli=4000, at_wall_ms=fair.now.wall_ms)
    fair.scheduler.restore_share(heavy, fair.now)
    fair.submit("a", fair.asks(4), share="A")
    fair.scheduler.occupy("b-before", "default", "local", fair.asks(1), "B", fair.now)
    fair.ms += 1000
    fair.release("b-before")
    fair.submit("b", fair.asks(4), share="B")
    assert names(fair.cycle()) == ["b"]


def test_accounts_of_idle_shares_are_forgotten_in_time() -> None:
    ledger = Ledger(FairShare(decay_s=1))
    for n in range(5000):
        share = ledger.share(f"user{n}")
        ledger.admit(share, 1000, n * 1000)
        ledger.start(share, 1000, n * 1000)
        ledger.stop(share, 1000, n * 1000 + 10, since_ms=n * 1000)
    assert len(ledger.shares()) < 2500
    assert ledger.active == 0


def test_what_a_queue_uses_is_told_share_by_share(fair) -> None:
    fair.queue("plain").submit("other", queue="plain")
    fair.submit("a", share="A")
    fair.submit("b", share="B", size=2)
    fair.cycle()
    use = fair.scheduler.queue_use("default")
    assert (use.cpu_milli, use.shares) == (3000, (("B", 2000), ("A", 1000)))
    fair.release("b:0", "b:1", "a")
    assert fair.scheduler.queue_use("default").shares == ()
    assert fair.scheduler.queue_use("plain").shares is None
    assert fair.scheduler.queue_use("plain").cpu_milli == 1000
