"""A mutating call is carried out once, however often its sender tries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tidemill.platform.clock import Now, VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.core import Outcome
from tidemill.platform.fault import Fault
from tidemill.platform.feed import Feed
from tidemill.platform.ledger import StoreLedger
from tidemill.platform.loop import Loop
from tidemill.platform.retry import Replies
from tidemill.platform.service import Caller
from tidemill.platform.sqlite import SqliteStore

HOUR_MS = 3_600_000


class Counter:
    """Replies with how many commands it has carried out."""

    next_wake_ms = None

    def __init__(self) -> None:
        self.done = 0

    def handle(self, messages: Sequence[str], now: Now) -> Outcome:
        outcome = Outcome()
        for message in messages:
            if message == "refuse":
                outcome.replies.append(Fault("ClientException", "No."))
            else:
                self.done += 1
                outcome.replies.append({"message": message, "number": self.done})
        return outcome


class Shop:
    """A core behind its loop, called as a service calls it."""

    def __init__(self, store: SqliteStore, clock: VirtualClock) -> None:
        self.store = store
        self.core = Counter()
        committer = Committer(store)
        self.replies = Replies(store, committer, clock)
        ledger = StoreLedger(Feed(store, committer), self.replies)
        self.loop = Loop(self.core, committer, clock, lambda _: None, ledger)

    async def call(
        self, message: str, key: str | None = "AKID/1", *, retry: bool = False
    ) -> object:
        caller = Caller(account="", region="", access_key="", retry_key=key, is_retry=retry)
        return await self.replies.ask(self.loop, message, caller)


@asynccontextmanager
async def shop(folder: Path, clock: VirtualClock) -> AsyncIterator[Shop]:
    store = SqliteStore(folder / "tidemill.db")
    await store.open([])
    new = Shop(store, clock)
    task = asyncio.create_task(new.loop.run())
    try:
        async with asyncio.timeout(30):
            yield new
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


def test_a_retry_gets_the_first_reply_even_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with shop(tmp_path, clock) as before:
            first = await before.call("buy")
            assert await before.call("buy", retry=True) == first
            assert await before.call("buy", "AKID/2", retry=True) != first
            assert before.core.done == 2
        clock.advance(HOUR_MS)
        async with shop(tmp_path, clock) as after:
            assert await after.call("buy", retry=True) == first
            assert after.core.done == 0

    asyncio.run(main())


def test_tries_that_overlap_get_one_reply(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path, VirtualClock()) as here:
            tries = [asyncio.create_task(here.call("buy", retry=number > 0)) for number in range(4)]
            await asyncio.sleep(0)
            tries[0].cancel()  # its sender timed out; the others came back for the reply
            replies = await asyncio.gather(*tries[1:])
            assert replies == [{"message": "buy", "number": 1}] * 3
            assert here.core.done == 1

    asyncio.run(main())


def test_a_retry_that_overtakes_the_first_try_is_carried_out_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path, VirtualClock()) as here:
            replies = await asyncio.gather(here.call("buy", retry=True), here.call("buy"))
            assert replies == [{"message": "buy", "number": 1}] * 2

    asyncio.run(main())


def test_calls_without_a_key_are_never_joined(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path, VirtualClock()) as here:
            await asyncio.gather(here.call("buy", None), here.call("buy", None, retry=True))
            assert here.core.done == 2

    asyncio.run(main())


def test_a_refusal_is_decided_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path, VirtualClock()) as here:
            for is_retry in (False, True):
                with pytest.raises(Fault, match=r"No\."):
                    await here.call("refuse", retry=is_retry)
            assert await here.store.fetch("SELECT COUNT(*) FROM retry_reply") == [(0,)]

    asyncio.run(main())


def test_replies_older_than_an_hour_are_swept_away(tmp_path: Path) -> None:
    async def main() -> None:
        clock = VirtualClock()
        async with shop(tmp_path, clock) as here:
            await here.call("buy", "AKID/old")
            clock.advance(HOUR_MS + 5 * 60_000)
            await here.call("buy", "AKID/new")
            due_ms = await here.replies.sweep(clock.now())
            rows = await here.store.fetch("SELECT retry_key FROM retry_reply")
            assert rows == [("AKID/new",)]
            assert due_ms is not None
            assert due_ms > clock.now().mono_ms + 10_000

    asyncio.run(main())
