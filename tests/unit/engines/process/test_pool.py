"""Attempts are held back until there is room, in their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.engines.process.pool import Pools
from tidemill.engines.process.protocol import Order


def order(name: str, cpu_milli: int = 1000, memory_mib: int = 100, pool: str = "a") -> Order:
    return Order(name, pool, ["true"], {}, cpu_milli, memory_mib, "group", "stream")


def taken(pools: Pools) -> list[str]:
    return [each.attempt_id for each in pools.take()]


def test_nothing_starts_in_a_pool_of_unknown_size() -> None:
    pools = Pools()
    pools.hold(order("1"))
    assert taken(pools) == []
    pools.resize([("a", 1000, 1000)])
    assert taken(pools) == ["1"]


def test_a_pool_without_room_does_not_hold_back_another() -> None:
    pools = Pools()
    pools.resize([("a", 1000, 1000), ("b", 1000, 1000)])
    for name in ("a1", "a2", "b1"):
        pools.hold(order(name, pool=name[0]))
    assert taken(pools) == ["a1", "b1"]
    pools.release(order("a1"))
    assert taken(pools) == ["a2"]


def test_a_shrunk_pool_lets_what_runs_run_and_starts_less() -> None:
    pools = Pools()
    pools.resize([("a", 3000, 1000)])
    for name in "123456":
        pools.hold(order(name))
    assert taken(pools) == ["1", "2", "3"]
    pools.resize([("a", 1000, 1000)])
    for name in ("1", "2"):
        pools.release(order(name))
        assert taken(pools) == []
    pools.release(order("3"))
    assert taken(pools) == ["4"]


def test_a_pool_that_is_named_no_more_starts_nothing() -> None:
    pools = Pools()
    pools.resize([("a", 1000, 1000)])
    pools.resize([])
    pools.hold(order("1"))
    assert taken(pools) == []


def test_a_head_larger_than_its_pool_waits_for_it_to_be_empty() -> None:
    pools = Pools()
    pools.resize([("a", 1000, 1000)])
    for name, cpu_milli in (("1", 500), ("large", 4000), ("3", 500)):
        pools.hold(order(name, cpu_milli))
    assert taken(pools) == ["1"]
    pools.release(order("1", 500))
    assert taken(pools) == ["large"]
    pools.release(order("large", 4000))
    assert taken(pools) == ["3"]


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=40))
def test_room_is_never_exceeded_and_order_is_kept(sizes: list[tuple[int, int]]) -> None:
    pools = Pools()
    pools.resize([("a", 2000, 2000)])
    orders = [order(str(i), *size) for i, size in enumerate(sizes)]
    for each in orders:
        pools.hold(each)
    running: list[Order] = []
    seen: list[str] = []
    while True:
        new = list(pools.take())
        running += new
        seen += [each.attempt_id for each in new]
        assert sum(each.cpu_milli for each in running) <= 2000
        assert sum(each.memory_mib for each in running) <= 2000
        if not running:
            break
        pools.release(running.pop())
    assert seen == [each.attempt_id for each in orders]


def test_what_is_put_back_is_the_head_again() -> None:
    pools = Pools()
    pools.resize([("a", 1000, 1000)])
    for number in "123":
        pools.hold(order(number))
    [first] = pools.take()
    pools.put_back(first)
    assert pools.holds("1")
    assert taken(pools) == ["1"]
    pools.put_back(first)
    assert pools.drop("1")
    assert taken(pools) == ["2"]


def test_what_is_held_can_be_dropped_once() -> None:
    pools = Pools()
    pools.hold(order("1"))
    assert pools.holds("1")
    assert pools.drop("1")
    assert not pools.drop("1")
    assert pools.held() == []
