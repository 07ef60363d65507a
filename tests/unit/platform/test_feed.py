"""The feed: each subscriber takes every event once, and nothing stays that all have taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tidemill.platform.clock import Now
from tidemill.platform.commit import Committer
from tidemill.platform.core import Event
from tidemill.platform.feed import EventBatch, Feed
from tidemill.platform.sqlite import SqliteStore

NOW = Now(wall_ms=1_700_000_000_000, mono_ms=0)


class House:
    """A store with a feed on it, and a way to make events."""

    def __init__(self, store: SqliteStore, backlog_max: int) -> None:
        self.store = store
        self.committer = Committer(store)
        self.feed = Feed(store, self.committer, backlog_max)

    async def happen(self, *kinds: str) -> None:
        writes = self.feed.append([Event("test", kind, b"{}") for kind in kinds], NOW.wall_ms)
        await self.committer.commit(writes)
        self.feed.publish()

    async def rows(self) -> int:
        ((count,),) = await self.store.fetch("SELECT COUNT(*) FROM event")
        return int(count)

    async def sweep_all(self) -> None:
        for _ in range(50):
            await self.feed.sweep(NOW)


@asynccontextmanager
async def house(folder: Path, backlog_max: int = 1_000_000) -> AsyncIterator[House]:
    store = SqliteStore(folder / "tidemill.db")
    await store.open([])
    try:
        new = House(store, backlog_max)
        await new.feed.open()
        async with asyncio.timeout(30):
            yield new
    finally:
        await store.close()


def kinds_of(batch: EventBatch) -> list[str]:
    return [taken.event.kind for taken in batch.events]


async def subscribed(subscription: AsyncIterator[EventBatch]) -> asyncio.Task[EventBatch]:
    """Ask for the first batch and return once the cursor stands."""
    waiting = asyncio.ensure_future(anext(subscription))
    for _ in range(20):
        await asyncio.sleep(0)
    return waiting


def test_nothing_is_written_while_nobody_subscribes(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            await home.happen("a", "b")
            assert await home.rows() == 0

    asyncio.run(main())


def test_a_subscriber_gets_what_happens_from_then_on_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            await home.happen("before")
            subscription = home.feed.subscribe("rules")
            waiting = await subscribed(subscription)
            await home.happen("a", "b")
            await home.happen("c")
            batch = await waiting
            taken = kinds_of(batch)
            await home.committer.commit([batch.cursor])
            if len(taken) < 3:
                taken += kinds_of(await anext(subscription))
            assert taken == ["a", "b", "c"]
            assert batch.events[0].wall_ms == NOW.wall_ms

    asyncio.run(main())


def test_after_a_crash_it_is_taken_up_at_the_committed_cursor(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            subscription = home.feed.subscribe("rules")
            waiting = await subscribed(subscription)
            await home.happen("a")
            await home.committer.commit([(await waiting).cursor])
            await home.happen("b")
            assert kinds_of(await anext(subscription)) == ["b"]  # taken, not committed
        async with house(tmp_path) as home:
            await home.happen("c")
            assert kinds_of(await anext(home.feed.subscribe("rules"))) == ["b", "c"]

    asyncio.run(main())


def test_rows_go_once_all_have_taken_them_and_numbers_are_never_given_again(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            quick, slow = home.feed.subscribe("quick"), home.feed.subscribe("slow")
            waiting = [await subscribed(quick), await subscribed(slow)]
            await home.happen(*"abc")
            first = [await each for each in waiting]
            await home.committer.commit([first[0].cursor])
            waiting = [await subscribed(quick)]
            await home.sweep_all()
            assert await home.rows() == 3
            assert home.feed.backlogs == {"quick": 0, "slow": 3}
            await home.committer.commit([first[1].cursor])
            waiting.append(await subscribed(slow))
            await home.sweep_all()
            assert await home.rows() == 0
            for each in waiting:
                each.cancel()
        async with house(tmp_path) as home:
            await home.happen("d")
            (event,) = (await anext(home.feed.subscribe("slow"))).events
            assert event.number == first[0].events[-1].number + 1

    asyncio.run(main())


def test_a_stuck_subscriber_is_capped_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with house(tmp_path, backlog_max=10) as home:
            stuck = home.feed.subscribe("stuck")
            (await subscribed(stuck)).cancel()
            await home.happen(*(str(number) for number in range(25)))
            await home.sweep_all()
            assert home.feed.backlogs == {"stuck": 10}
            assert await home.rows() == 10
            batch = await anext(home.feed.subscribe("stuck"))
            assert kinds_of(batch) == [str(number) for number in range(15, 25)]
        assert "stuck is stuck: its oldest 15 events are dropped" in caplog.text

    asyncio.run(main())


def test_unsubscribing_ends_the_subscription_and_frees_its_rows(tmp_path: Path) -> None:
    async def main() -> None:
        async with house(tmp_path) as home:
            subscription = home.feed.subscribe("rules")
            waiting = await subscribed(subscription)
            await home.happen("a")
            await waiting
            ended = await subscribed(subscription)
            await home.happen("b")
            await home.feed.unsubscribe("rules")
            taken = await asyncio.gather(ended, return_exceptions=True)
            with pytest.raises(StopAsyncIteration):
                while True:
                    taken.append(await anext(subscription))
            await home.sweep_all()
            assert await home.rows() == 0
            await home.happen("c")
            assert await home.rows() == 0

    asyncio.run(main())
