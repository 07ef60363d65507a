"""Locks by name: shared by many or held alone, in the order of asking."""

from __future__ import annotations

import asyncio

from tidemill.services.s3.lock import NamedLocks


def test_one_alone_waits_for_those_who_share_and_holds_up_those_who_come_later() -> None:
    async def scenario() -> list[str]:
        locks, order = NamedLocks(), []
        first_may_end = asyncio.Event()

        async def share(name: str, until: asyncio.Event | None = None) -> None:
            async with locks.shared("key"):
                order.append(name)
                if until is not None:
                    await until.wait()

        async def alone() -> None:
            async with locks.alone("key"):
                order.append("alone")
                await asyncio.sleep(0)
                order.append("alone ends")

        tasks = [asyncio.create_task(share("first", first_may_end))]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(alone()))
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(share("last")))
        await asyncio.sleep(0)
        async with locks.alone("another key"):
            order.append("another key")
        first_may_end.set()
        await asyncio.gather(*tasks)
        assert not locks._entries
        return order

    assert asyncio.run(scenario()) == ["first", "another key", "alone", "alone ends", "last"]


def test_who_gives_up_waiting_holds_up_nobody() -> None:
    async def scenario() -> None:
        locks = NamedLocks()
        async with locks.shared("key"):
            waiting = asyncio.create_task(hold_alone(locks))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            async with locks.shared("key"):
                pass
        async with locks.alone("key"):
            pass
        assert not locks._entries

    async def hold_alone(locks: NamedLocks) -> None:
        async with locks.alone("key"):
            pass

    asyncio.run(scenario())


def test_turns_that_come_after_waiting_was_given_up_go_to_nobody() -> None:
    async def scenario() -> None:
        locks = NamedLocks()
        async with locks.alone("key"):
            waiting = [asyncio.create_task(hold_alone(locks)) for _ in range(2)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 2
        async with locks.alone("key"):
            pass
        assert not locks._entries

    async def hold_alone(locks: NamedLocks) -> None:
        async with locks.alone("key"):
            pass

    asyncio.run(scenario())
