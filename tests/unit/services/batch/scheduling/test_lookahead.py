"""Engines that hold attempts back are handed some more than fit, while jobs are short."""

from __future__ import annotations

import pytest

from tidemill.services.batch.scheduling.lookahead import LOOK_AHEAD_MAX, Pace


@pytest.fixture
def busy(world):
    """Two vCPUs where an array of short jobs has just had two of them end."""
    world.environment(vcpus=2, look_ahead=True).queue()
    world.submit("short", size=100)
    assert len(world.cycle()) == 2
    world.release("short:0", "short:1")
    return world


def test_about_as_many_are_handed_over_as_have_just_ended(busy) -> None:
    assert [each.partition("@")[0] for each in busy.cycle()] == [f"short:{n}" for n in range(2, 6)]
    use = busy.scheduler.environment_use("local")
    assert (use.running, use.ahead, use.cpu_milli) == (2, 2, 2000)


def test_those_ahead_move_up_when_room_comes_free(busy) -> None:
    busy.cycle()
    busy.release("short:2")
    use = busy.scheduler.environment_use("local")
    assert (use.running, use.ahead) == (2, 1)


def test_one_that_is_taken_back_before_its_start_frees_no_room(busy) -> None:
    busy.cycle()
    busy.release("short:5")
    use = busy.scheduler.environment_use("local")
    assert (use.running, use.ahead, use.cpu_milli) == (2, 1, 2000)


def test_where_jobs_are_long_nothing_is_handed_over_early(busy) -> None:
    busy.ms = 500
    assert len(busy.cycle()) == 2


def test_never_for_an_engine_that_holds_nothing_back(small) -> None:
    small.submit("short", size=100)
    small.cycle()
    small.release("short:0", "short:1")
    assert len(small.cycle()) == 2


def test_never_what_holds_something_scarce(busy) -> None:
    busy.scheduler.remove("short")
    busy.environment(vcpus=2, gpus=8, look_ahead=True).consumable("api", 10)
    busy.submit("calls", busy.asks(1, api=1), size=3)
    busy.submit("trains", busy.asks(1, gpus=1), size=3)
    busy.submit("nodes", size=3, look_ahead=False)
    assert len(busy.cycle()) == 2


def test_not_past_a_head_that_keeps_the_room(busy) -> None:
    busy.scheduler.remove("short")
    busy.queue("high", priority=9)
    busy.submit("runs", queue="high")
    busy.cycle()
    busy.submit("trains", busy.asks(2, gpus=0), "high", look_ahead=False)
    busy.submit("little")
    assert busy.cycle() == []
    busy.release("runs")
    assert busy.cycle()[0] == "trains@local"


def test_room_elsewhere_comes_first(busy) -> None:
    busy.environment("other", vcpus=1).queue("default", "local", "other")
    assert busy.cycle()[2] == "short:4@other"


def test_none_overtakes_those_that_are_ahead(world) -> None:
    world.environment(vcpus=2, look_ahead=True).queue()
    world.submit("short", size=2)
    world.cycle()
    world.release("short:0")
    world.submit("wide", world.asks(2))
    world.submit("little", look_ahead=False)
    assert world.cycle() == ["wide@local"]
    world.release("short:1")
    assert world.cycle() == []
    world.release("wide")
    assert world.cycle() == ["little@local"]


def test_the_allowance_follows_the_pace_and_is_bounded() -> None:
    pace = Pace()
    assert pace.allowance(0) == 0
    for _ in range(7):
        pace.count_end(50)
    assert (pace.allowance(60), pace.allowance(150), pace.allowance(250)) == (7, 7, 0)
    for _ in range(1000):
        pace.count_end(260)
    assert pace.allowance(299) == LOOK_AHEAD_MAX
