"""Duties run when they are due, one bounded step at a time, and one's bug spares the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tidemill.platform.clock import Now, VirtualClock
from tidemill.platform.disk import DiskFloor
from tidemill.platform.fault import Fault
from tidemill.platform.housekeeping import RETRY_MS, Duty, Housekeeping
from tidemill.platform.store import StoreError


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def duty(log: list[tuple[str, int]], name: str, next_ms: Callable[[Now], int | None]) -> Duty:
    async def step(now: Now) -> int | None:
        log.append((name, now.mono_ms))
        return next_ms(now)

    return step


def test_each_duty_runs_when_it_said_and_rests_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    def fail(now: Now) -> int | None:
        raise KeyError("a bug")

    async def main() -> None:
        clock = VirtualClock()
        log: list[tuple[str, int]] = []
        duties = {
            "minutely": duty(log, "minutely", lambda now: now.mono_ms + 60_000),
            "once": duty(log, "once", lambda _: None),
            "broken": duty(log, "broken", fail),
        }
        task = asyncio.create_task(Housekeeping(clock, duties).run())
        await settle()
        assert sorted(log) == [("broken", 0), ("minutely", 0), ("once", 0)]
        clock.advance(59_999)
        await settle()
        assert len(log) == 3
        clock.advance(1)
        await settle()
        assert sorted(log[3:]) == [("broken", RETRY_MS), ("minutely", 60_000)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert "Housekeeping failed at broken" in caplog.text


def test_a_duty_that_could_not_read_the_store_has_another_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = 0

    async def read(now: Now) -> int | None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise StoreError("The database does not answer.")
        return now.mono_ms + 3_600_000

    async def main() -> None:
        clock = VirtualClock()
        task = asyncio.create_task(Housekeeping(clock, {"reader": read}).run())
        await settle()
        clock.advance(RETRY_MS)
        await settle()
        assert (turns, task.done()) == (2, False)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    [record] = caplog.records
    assert "reader for a minute: The database does not answer." in record.getMessage()
    assert record.exc_info is None


def test_a_duty_is_hastened_once_when_something_has_come_up() -> None:
    async def main() -> None:
        clock = VirtualClock()
        log: list[tuple[str, int]] = []
        duties = {
            "hourly": duty(log, "hourly", lambda now: now.mono_ms + 3_600_000),
            "minutely": duty(log, "minutely", lambda now: now.mono_ms + 60_000),
        }
        housekeeping = Housekeeping(clock, duties)
        task = asyncio.create_task(housekeeping.run())
        await settle()
        log.clear()
        clock.advance(1_000)
        housekeeping.hasten("hourly")
        await settle()
        assert log == [("hourly", 1_000)]
        clock.advance(59_000)
        await settle()
        assert log == [("hourly", 1_000), ("minutely", 60_000)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_commands_are_refused_below_the_floor_until_there_is_room_again() -> None:
    free, now, looks = 2_000, 0.0, 0

    def look(_: Path) -> int:
        nonlocal looks
        looks += 1
        return free

    floor = DiskFloor(Path("data"), 1_000, free_bytes=look, monotonic=lambda: now)
    floor.check("ServerException")
    free = 999
    floor.check("ServerException")  # it looks once a second only
    now = 1.0
    with pytest.raises(Fault, match="ServerException: The disk of the data folder data has"):
        floor.check("ServerException")
    free, now = 1_000, 2.0
    floor.check("ServerException")
    assert looks == 3
