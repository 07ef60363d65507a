"""Group commit: what waits goes together, in order, and a failure is final."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tidemill.platform.commit import Committer
from tidemill.platform.store import Migration, Row, StoreError, Write


class SlowStore:
    """Commits when told to, and remembers what each transaction held."""

    epoch = 1

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.turn = asyncio.Semaphore(0)
        self.error: StoreError | None = None

    async def open(self, migrations: Sequence[Migration]) -> None: ...

    async def commit(self, writes: Sequence[Write]) -> None:
        await self.turn.acquire()
        if self.error is not None:
            raise self.error
        self.transactions.append([write.sql for write in writes])

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        return []

    async def backup(self, path: str) -> None: ...

    async def close(self) -> None: ...


def write(name: str) -> list[Write]:
    return [Write(name, [()])]


async def turn_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_gathers_during_a_commit_shares_the_next_one() -> None:
    async def main() -> None:
        store = SlowStore()
        committer = Committer(store)
        calls = [asyncio.create_task(committer.commit(write("a")))]
        await turn_of_the_loop()
        calls += [asyncio.create_task(committer.commit(write(name))) for name in "bcd"]
        await turn_of_the_loop()
        assert not any(call.done() for call in calls)
        store.turn.release()
        await calls[0]
        assert not any(call.done() for call in calls[1:])
        store.turn.release()
        await asyncio.gather(*calls)
        assert store.transactions == [["a"], ["b", "c", "d"]]

    asyncio.run(main())


def test_settled_waits_for_what_was_handed_in_and_for_nothing_when_idle() -> None:
    async def main() -> None:
        store = SlowStore()
        committer = Committer(store)
        await committer.settled()
        call = asyncio.create_task(committer.commit(write("a")))
        await turn_of_the_loop()
        settled = asyncio.create_task(committer.settled())
        await turn_of_the_loop()
        assert not settled.done()
        store.turn.release()
        await settled
        assert call.done()
        assert store.transactions == [["a"]]

    asyncio.run(main())


def test_a_failure_is_final_for_all_who_wait_and_all_who_come() -> None:
    async def main() -> None:
        store = SlowStore()
        committer = Committer(store)
        calls = [asyncio.create_task(committer.commit(write("a")))]
        await turn_of_the_loop()
        calls.append(asyncio.create_task(committer.commit(write("b"))))
        await turn_of_the_loop()
        store.error = StoreError("the disk is full")
        store.turn.release()
        assert await asyncio.gather(*calls, return_exceptions=True) == [store.error] * 2
        assert await committer.failed is store.error
        for later in (committer.commit(write("c")), committer.settled()):
            with pytest.raises(StoreError, match="disk is full"):
                await later
        assert store.transactions == []

    asyncio.run(main())


def test_a_caller_that_gives_up_does_not_take_its_writes_back() -> None:
    async def main() -> None:
        store = SlowStore()
        committer = Committer(store)
        first = asyncio.create_task(committer.commit(write("a")))
        second = asyncio.create_task(committer.commit(write("b")))
        await turn_of_the_loop()
        first.cancel()
        await turn_of_the_loop()
        store.turn.release()
        await second
        assert store.transactions == [["a", "b"]]

    asyncio.run(main())
