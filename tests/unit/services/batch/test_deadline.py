"""Deadlines: the earliest first, forgettable, and no leak where most are forgotten."""

from __future__ import annotations

from tidemill.services.batch.deadline import Deadlines


def test_what_is_due_comes_earliest_first_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set("b", 20)
    deadlines.set("a", 10)
    deadlines.set("c", 30)
    assert deadlines.next_ms == 10
    assert deadlines.take_due(20) == ["a", "b"]
    assert deadlines.take_due(20) == []
    assert deadlines.next_ms == 30


def test_one_that_is_set_again_or_dropped_does_not_fall_due_as_before() -> None:
    deadlines = Deadlines()
    deadlines.set("a", 10)
    deadlines.set("a", 50)
    deadlines.set("b", 10)
    deadlines.drop("b")
    deadlines.drop("nobody")
    assert deadlines.take_due(49) == []
    assert deadlines.next_ms == 50
    assert deadlines.keys() == ["a"]


def test_many_that_never_fall_due_leave_nothing_behind() -> None:
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.set(f"job-{number}", 3_600_000)
        deadlines.drop(f"job-{number}")
    assert len(deadlines) == 0
    assert len(deadlines._heap) < 100
