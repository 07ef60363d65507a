"""What the tags of a submission ask for: delays, pauses between tries, interruptions."""

from __future__ import annotations

import pytest
from batch_world import World

from tidemill.services.batch.command import RetryRule, RetryStrategy
from tidemill.services.batch.error import Refused
from tidemill.services.batch.extension import (
    INTERRUPTIONS_MAX,
    Backoff,
    Extension,
    backoff_ms,
    stated,
)

SLOWLY = Extension(backoff=Backoff(2_000, 60_000))
AGAIN = Extension(interrupted=75)
THRICE = RetryStrategy(3)


@pytest.fixture
def world() -> World:
    return World()


def why(world: World, key: str) -> str | None:
    return world.core.status_reason(key, world.now)


# What the tags say


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        ({}, None),
        ({"tidemill:engine": "x"}, None),
        ({"tidemill:delay": "90"}, Extension(delay_ms=90_000)),
        ({"tidemill:delay": "0"}, Extension()),
        ({"tidemill:delay": "0.25"}, Extension(delay_ms=250)),
        ({"tidemill:delay": "2592000"}, Extension(delay_ms=2_592_000_000)),
        ({"tidemill:backoff": "2:60"}, SLOWLY),
        ({"tidemill:backoff": "0.5:0.5"}, Extension(backoff=Backoff(500, 500))),
        ({"tidemill:interrupted": "75"}, AGAIN),
        ({"tidemill:interrupted": "255"}, Extension(interrupted=255)),
        (
            {"tidemill:delay": "1", "tidemill:backoff": "1:2", "tidemill:interrupted": "1"},
            Extension(delay_ms=1_000, backoff=Backoff(1_000, 2_000), interrupted=1),
        ),
    ],
)
def test_tags_are_read(tags: dict[str, str], asked: Extension | None) -> None:
    assert stated(tags) == asked


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("delay", "soon", "as 90 or 0.5"),
        ("delay", "-1", "as 90 or 0.5"),
        ("delay", "", "as 90 or 0.5"),
        ("delay", "1e3", "as 90 or 0.5"),
        ("delay", "nan", "as 90 or 0.5"),
        ("delay", "\u0661", "as 90 or 0.5"),
        ("delay", "2592000.5", "30 days"),
        ("backoff", "2", "as 2:60"),
        ("backoff", "0:60", "more than 0"),
        ("backoff", "60:2", "not above the longest"),
        ("backoff", "2:60:90", "as 2:60"),
        ("backoff", "2:2592001", "30 days"),
        ("interrupted", "0", "from 1 to 255"),
        ("interrupted", "256", "from 1 to 255"),
        ("interrupted", "SIGTERM", "from 1 to 255"),
    ],
)
def test_what_can_not_be_meant_is_refused(name: str, value: str, right: str) -> None:
    with pytest.raises(Refused, match=rf"^tags: tidemill:{name} should be .*{right}.*; got "):
        stated({f"tidemill:{name}": value})


def test_pauses_double_up_to_the_longest_and_are_never_less_than_half() -> None:
    backoff = Backoff(2_000, 60_000)
    for retry, full_ms in [(1, 2_000), (2, 4_000), (5, 32_000), (6, 60_000), (5_000, 60_000)]:
        waits = [backoff_ms(backoff, retry, f"job-{n}/{retry}") for n in range(200)]
        assert all(full_ms // 2 <= wait <= full_ms for wait in waits)
        assert max(waits) - min(waits) > full_ms * 0.4, "they are spread over the whole range"
        assert waits == [backoff_ms(backoff, retry, f"job-{n}/{retry}") for n in range(200)]
    assert backoff_ms(Backoff(1, 1), 1, "any") in (0, 1)


# Delays


def test_a_job_does_not_start_before_its_delay_is_over(world: World) -> None:
    job = world.submit(extension=Extension(delay_ms=52_000))
    assert world.state(job) == "PENDING"
    until = "until 2023-11-14T22:14:12Z, 52 s from now, as its tag tidemill:delay says"
    assert why(world, job) == f"Waits {until}"
    (condition,) = world.core.conditions(job, world.now)
    assert (condition.name, condition.holds, condition.detail) == ("delay", False, until)
    assert world.core.next_wake_ms == 52_000, "the loop sleeps until then"
    world.pass_time(51.999)
    assert world.state(job) == "PENDING"
    world.pass_time(0.001)
    assert world.take_starts() == [f"{job}/1"]


def test_a_delay_and_dependencies_both_hold(world: World) -> None:
    first = world.submit()
    early, late = (
        world.submit(after=[first], extension=Extension(delay_ms=ms)) for ms in (1_000, 9_000)
    )
    assert why(world, late) == (
        f"Waits for 1 job to succeed: {first} (STARTING); and until 2023-11-14T22:13:29Z, "
        "9 s from now, as its tag tidemill:delay says"
    )
    world.pass_time(2)
    assert world.state(early) == "PENDING", "its delay is over, the other job isn't"
    assert why(world, early) == f"Waits for 1 job to succeed: {first} (STARTING)"
    world.run(first)
    assert world.state(early) == "STARTING"
    assert world.state(late) == "PENDING", "the other job is over, its delay isn't"
    world.pass_time(7)
    assert world.state(late) == "STARTING"


def test_a_delayed_array_has_no_rows_for_its_children(world: World) -> None:
    array = world.submit(array_size=100_000, extension=Extension(delay_ms=3_000))
    assert world.counts(array) == {"PENDING": 100_000}
    assert world.state(f"{array}:7") == "PENDING"
    assert str(why(world, f"{array}:7")).startswith("Waits until ")
    assert why(world, array) == why(world, f"{array}:7")
    count = "SELECT COUNT(*) FROM batch_child"
    assert world.database.connection.execute(count).fetchall() == [(0,)]
    world.restart()
    assert world.counts(array) == {"PENDING": 100_000}
    world.pass_time(3)
    assert world.counts(array) == {"RUNNABLE": 100_000 - 8, "STARTING": 8}


def test_what_is_left_of_a_delay_survives_a_restart(world: World) -> None:
    job, array = (
        world.submit(extension=Extension(delay_ms=9_000), array_size=size) for size in (None, 3)
    )
    world.pass_time(4)
    world.restart()
    assert "5 s from now" in str(why(world, job))
    world.ms += 20_000  # the server is down
    world.restart()
    assert len(world.take_starts()) == 4
    assert world.counts(array) == {"STARTING": 3}


def test_a_clock_that_is_set_back_takes_no_array_out_of_line_again(world: World) -> None:
    array = world.submit(array_size=9, extension=Extension(delay_ms=5_000))
    world.pass_time(5)
    assert world.counts(array) == {"RUNNABLE": 1, "STARTING": 8}
    world.ms -= 4_000
    world.restart()
    assert world.counts(array) == {"RUNNABLE": 1, "STARTING": 8}
    world.run(f"{array}:0")
    assert f"{array}:8/1" in world.take_starts()


@pytest.mark.parametrize("end", ["cancel", "terminate"])
def test_what_is_delayed_can_be_ended(world: World, end: str) -> None:
    job = world.submit(extension=Extension(delay_ms=9_000))
    array = world.submit(extension=Extension(delay_ms=9_000), array_size=3)
    getattr(world, end)(f"{array}:1")
    assert world.counts(array) == {"PENDING": 2, "FAILED": 1}
    for key in (job, array):
        getattr(world, end)(key)
        assert world.state(key) == "FAILED"
    world.pass_time(10)
    assert not world.core.book.delays and not world.take_starts()


def test_what_is_delayed_fails_with_what_it_depends_on(world: World) -> None:
    first = world.submit()
    job = world.submit(after=[first], extension=Extension(delay_ms=9_000))
    world.run(first, code=1)
    assert world.state(job) == "FAILED"
    world.pass_time(10)
    assert world.take_starts() == [f"{first}/1"]


# Pauses between tries


def test_a_job_that_pauses_holds_nobody_back() -> None:
    world = World(vcpus=1)
    job = world.submit(retry=THRICE, extension=SLOWLY)
    behind = world.submit()
    world.run(job, code=1)
    assert world.state(job) == "RUNNABLE" and world.state(behind) == "STARTING"
    wait_ms = backoff_ms(Backoff(2_000, 60_000), 1, f"{job}/1")
    assert 1_000 <= wait_ms <= 2_000
    assert why(world, job) == (
        "Waits 2 s more before attempt 2 of 3, as its tag tidemill:backoff says"
    )
    (condition,) = world.core.conditions(job, world.now)
    assert (condition.name, condition.holds) == ("backoff", False)
    world.run(behind)
    assert world.core.next_wake_ms is not None
    assert world.core.next_wake_ms <= wait_ms, "the loop sleeps no longer than that"
    world.take_starts()
    world.pass_time((wait_ms - 1) / 1000)
    assert not world.take_starts()
    world.pass_time(0.001)
    assert world.take_starts() == [f"{job}/2"]


def test_pauses_grow_with_each_failure_and_survive_restarts(world: World) -> None:
    job = world.submit(retry=THRICE, extension=SLOWLY)
    for attempt in (1, 2):
        world.run(job, code=1, attempt=attempt)
        wait_ms = backoff_ms(Backoff(2_000, 60_000), attempt, f"{job}/{attempt}")
        world.pass_time(0.5)
        world.restart()
        world.pass_time((wait_ms - 501) / 1000)
        assert world.state(job) == "RUNNABLE"
        world.pass_time(0.001)
        assert world.state(job) == "STARTING"


def test_a_pause_that_passed_while_the_server_was_down_is_over(world: World) -> None:
    job = world.submit(retry=THRICE, extension=SLOWLY)
    world.run(job, code=1)
    world.ms += 60_000
    world.restart()
    assert world.take_starts() == [f"{job}/2"]


def test_a_child_that_pauses_is_counted_once_and_lets_the_others_go_on() -> None:
    world = World(vcpus=1)
    array = world.submit(array_size=3, retry=THRICE, extension=SLOWLY)
    world.run(f"{array}:0", code=1)
    assert world.counts(array) == {"RUNNABLE": 2, "STARTING": 1}
    assert world.state(f"{array}:0") == "RUNNABLE"
    assert str(why(world, f"{array}:0")).startswith("Waits 2 s more before attempt 2 of 3")
    world.restart()
    assert world.counts(array) == {"RUNNABLE": 2, "STARTING": 1}
    world.run(f"{array}:1")
    world.run(f"{array}:2")
    assert why(world, array) == (
        "Waits for 1 child of 3 to end; 1 of them pauses before another attempt"
    )
    world.pass_time(2)
    world.run(f"{array}:0", attempt=2)
    assert world.state(array) == "SUCCEEDED"


@pytest.mark.parametrize("end", ["cancel", "terminate"])
def test_what_pauses_can_be_ended(world: World, end: str) -> None:
    job = world.submit(retry=THRICE, extension=SLOWLY)
    array = world.submit(retry=THRICE, extension=SLOWLY, array_size=2)
    for key in (job, f"{array}:0"):
        world.run(key, code=1)
    world.run(f"{array}:1")
    for key in (job, array):
        getattr(world, end)(key)
        assert world.state(key) == "FAILED"
    assert not world.core.book.pauses
    world.take_starts()
    world.pass_time(90)
    assert not world.take_starts()


def test_a_head_that_pauses_keeps_no_share_waiting() -> None:
    world = World(vcpus=1)
    jobs = [
        world.submit(queue="fair", share=share, retry=THRICE, extension=SLOWLY) for share in "aab"
    ]
    world.started(jobs[0])
    world.pass_time(10)
    world.exited(jobs[0], code=1)
    assert world.state(jobs[2]) == "STARTING", "the other share's turn"
    assert why(world, jobs[1]) is not None
    world.run(jobs[2])
    assert world.state(jobs[1]) == "STARTING", "it is younger than the one that pauses"
    assert world.state(jobs[0]) == "RUNNABLE"


# Interruptions


def test_an_interruption_counts_as_no_attempt(world: World) -> None:
    job = world.submit(retry=RetryStrategy(2), extension=AGAIN)
    for attempt, code in enumerate([75, 75, 1, 75], 1):
        world.run(job, code=code, attempt=attempt)
        assert world.state(job) == "STARTING"
        world.restart()
    world.run(job, code=1, attempt=5)
    assert world.state(job) == "FAILED", "its second failure"
    assert [each.container.exit_code for each in world.attempts(job)] == [75, 75, 1, 75, 1]


def test_an_interruption_goes_before_evaluate_on_exit_and_before_pauses(world: World) -> None:
    strategy = RetryStrategy(2, (RetryRule(False, exit_code="*"),))
    asked = Extension(backoff=Backoff(2_000, 2_000), interrupted=75)
    job, other = (world.submit(retry=each, extension=asked) for each in (strategy, THRICE))
    world.run(job, code=75)
    assert world.state(job) == "STARTING"
    world.run(other, code=1)
    world.pass_time(2)
    world.run(other, code=75, attempt=2)
    assert world.state(other) == "STARTING", "nothing has failed, so there is no pause"
    world.run(other, code=1, attempt=3)
    assert "attempt 3 of 3" in str(why(world, other))


def test_interruptions_without_end_count_at_last(world: World) -> None:
    job = world.submit(extension=AGAIN)
    for attempt in range(1, INTERRUPTIONS_MAX + 1):
        world.run(job, code=75, attempt=attempt)
        assert world.state(job) == "STARTING"
    world.run(job, code=75, attempt=INTERRUPTIONS_MAX + 1)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == (
        "Essential container in task exited: interrupted more than 100 times, so that this "
        "counts as a failure"
    )
    assert len(world.attempts(job)) == INTERRUPTIONS_MAX + 1


def test_children_are_interrupted_one_by_one(world: World) -> None:
    array = world.submit(array_size=2, extension=AGAIN)
    world.run(f"{array}:0", code=75)
    world.run(f"{array}:0", attempt=2)
    world.run(f"{array}:1", code=1)
    assert world.counts(array) == {"SUCCEEDED": 1, "FAILED": 1}
    assert len(world.attempts(f"{array}:0")) == 2


def test_without_the_tag_75_is_a_failure_like_any_other(world: World) -> None:
    job = world.submit()
    world.run(job, code=75)
    assert world.state(job) == "FAILED"


def test_what_was_stopped_is_not_interrupted(world: World) -> None:
    job = world.submit(extension=AGAIN)
    timed_out = world.submit(extension=AGAIN, timeout_s=60)
    array = world.submit(extension=AGAIN, array_size=2)
    for key in (job, timed_out, f"{array}:0"):
        world.started(key)
    world.terminate(job, "enough")
    world.cancel(array)
    world.pass_time(61)
    for key in (job, timed_out, f"{array}:0"):
        world.exited(key, code=75)
        assert world.state(key) == "FAILED", key


# What it costs


def test_a_job_without_tags_keeps_no_timers(world: World) -> None:
    job = world.submit(retry=THRICE)
    array = world.submit(array_size=9, retry=THRICE)
    for key in (job, f"{array}:0"):
        world.run(key, code=1)
    assert not world.core.book.delays and not world.core.book.pauses
