"""One suite for every store: what the platform and the services rely on, on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from tidemill.platform.clock import VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.core import Event
from tidemill.platform.feed import Feed
from tidemill.platform.ledger import StoreLedger
from tidemill.platform.loop import Loop
from tidemill.platform.postgres import PostgresStore
from tidemill.platform.retry import Replies
from tidemill.platform.service import Caller
from tidemill.platform.sqlite import SqliteStore
from tidemill.platform.store import Migration, Store, StoreError, Write

NewStore = Callable[[], Store]
"""Another server's view of the same database."""

JOB_TABLE = Migration(
    component="test",
    number=1,
    sqlite="CREATE TABLE job (id TEXT PRIMARY KEY, size INTEGER, share REAL, body BLOB);",
    postgres=(
        'CREATE TABLE job (id TEXT COLLATE "C" PRIMARY KEY, size BIGINT,'
        " share DOUBLE PRECISION, body BYTEA);"
    ),
)
INSERT = "INSERT INTO job (id, size, share, body) VALUES ($1, $2, $3, $4)"


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "data" / "tidemill.db")
    url = request.getfixturevalue("new_postgres_url")()
    return lambda: PostgresStore(url)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main

    asyncio.run(bounded())


def with_store(new_store: NewStore, body: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        store = new_store()
        await store.open([JOB_TABLE])
        try:
            await body(store)
        finally:
            await store.close()

    run(main())


def test_values_come_back_as_they_went_in(new_store: NewStore) -> None:
    rows = [
        ("naïve/☃", 2**62, 0.1, bytes(range(256))),
        ("", -(2**62), -1e300, b""),
        ("null", None, None, None),
    ]

    async def body(store: Store) -> None:
        await store.commit([Write(INSERT, rows)])
        found = await store.fetch("SELECT id, size, share, body FROM job")
        assert sorted(found) == sorted(rows)
        assert all(type(row) is tuple for row in found)

    with_store(new_store, body)


def test_parameters_may_come_in_any_order_and_more_than_once(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        await store.commit(
            [Write("INSERT INTO job (id, size, body) VALUES ($2, $1, $3)", [(7, "a", b"x")])]
        )
        query = "SELECT id FROM job WHERE size = $2 AND id = $1 AND size = $2"
        assert await store.fetch(query, ("a", 7)) == [("a",)]

    with_store(new_store, body)


def test_writes_are_carried_out_in_order_within_one_transaction(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        await store.commit(
            [
                Write(INSERT, [("a", 1, 0.0, b""), ("b", 2, 0.0, b"")]),
                Write("UPDATE job SET size = size + $1", [(10,), (100,)]),
                Write("DELETE FROM job WHERE size = $1", [(112,)]),
                Write(INSERT, []),
            ]
        )
        assert await store.fetch("SELECT id, size FROM job") == [("a", 111)]

    with_store(new_store, body)


def test_a_transaction_that_fails_leaves_nothing_behind(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        await store.commit([Write(INSERT, [("a", 1, 0.0, b"")])])
        with pytest.raises(Exception, match=r"(?i)unique"):
            await store.commit(
                [Write(INSERT, [("b", 1, 0.0, b"")]), Write(INSERT, [("a", 1, 0.0, b"")])]
            )
        assert await store.fetch("SELECT id FROM job") == [("a",)]
        await store.commit([Write(INSERT, [("c", 1, 0.0, b"")])])
        assert await store.fetch("SELECT COUNT(*) FROM job") == [(2,)]

    with_store(new_store, body)


def test_sums_and_averages_are_plain_numbers(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        await store.commit([Write(INSERT, [("a", 1, 0.5, b""), ("b", 2, 0.5, b"")])])
        ((total, share, none),) = await store.fetch(
            "SELECT SUM(size), SUM(share), SUM(CASE WHEN size > 5 THEN size END) FROM job"
        )
        assert (total, share, none) == (3, 1.0, None)
        assert isinstance(total, int)
        assert isinstance(share, float)

    with_store(new_store, body)


def test_text_is_ordered_by_its_bytes_and_like_heeds_case(new_store: NewStore) -> None:
    names = ["B", "a", "ä", "a/b", "a-b", "Z"]

    async def body(store: Store) -> None:
        await store.commit([Write(INSERT, [(name, 0, 0.0, b"") for name in names])])
        ordered = await store.fetch("SELECT id FROM job ORDER BY id")
        assert [name for (name,) in ordered] == sorted(names, key=str.encode)
        assert await store.fetch("SELECT id FROM job WHERE id LIKE $1", ("z%",)) == []

    with_store(new_store, body)


def test_a_long_read_and_commits_go_on_side_by_side(new_store: NewStore) -> None:
    long_read = (
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000)"
        " SELECT COUNT(*) FROM n"
    )

    async def body(store: Store) -> None:
        reading = asyncio.create_task(store.fetch(long_read))
        await asyncio.sleep(0)
        for number in range(20):
            await store.commit([Write(INSERT, [(str(number), number, 0.0, b"")])])
            assert await store.fetch("SELECT COUNT(*) FROM job") == [(number + 1,)]
        assert await reading == [(300000,)]

    with_store(new_store, body)


def test_rows_and_a_greater_epoch_after_opening_again(new_store: NewStore) -> None:
    async def main() -> None:
        epochs = []
        for count in range(3):
            store = new_store()
            await store.open([JOB_TABLE])
            epochs.append(store.epoch)
            assert await store.fetch("SELECT COUNT(*) FROM job") == [(count,)]
            await store.commit([Write(INSERT, [(str(count), 0, 0.0, b"")])])
            await store.close()
        assert epochs == sorted(set(epochs))

    run(main())


def test_a_second_server_is_refused_in_one_sentence(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        with pytest.raises(StoreError, match=r"^Another Tidemill server .*process \d+.*stop it"):
            await new_store().open([JOB_TABLE])
        await store.commit([Write(INSERT, [("a", 1, 0.0, b"")])])

    with_store(new_store, body)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(new_store: NewStore) -> None:
    newer = Migration(
        component="test",
        number=2,
        sqlite="ALTER TABLE job ADD COLUMN extra TEXT",
        postgres="ALTER TABLE job ADD COLUMN extra TEXT",
    )

    async def main() -> None:
        for migrations in ([JOB_TABLE], [JOB_TABLE, newer]):
            store = new_store()
            await store.open(migrations)
            await store.close()
        store = new_store()
        with pytest.raises(StoreError, match=r"newer version of Tidemill.*`test` schema is at 2"):
            await store.open([JOB_TABLE])
        await store.close()  # as whoever opened it will do
        store = new_store()
        await store.open([JOB_TABLE, newer])
        await store.commit([Write("INSERT INTO job (id, extra) VALUES ($1, $2)", [("a", "b")])])
        await store.close()

    run(main())


def test_a_migration_that_fails_changes_nothing(new_store: NewStore) -> None:
    broken = "CREATE TABLE half (id TEXT); INSERT INTO missing VALUES (1)"

    async def main() -> None:
        step = Migration(component="test", number=1, sqlite=broken, postgres=broken)
        with pytest.raises(Exception, match="missing"):
            await new_store().open([step])
        store = new_store()
        await store.open([JOB_TABLE])
        with pytest.raises(Exception, match="half"):
            await store.fetch("SELECT * FROM half")
        await store.close()

    run(main())


def test_a_server_that_was_overtaken_cannot_commit(new_store: NewStore) -> None:
    async def body(store: Store) -> None:
        await store.commit([Write("UPDATE lease SET epoch = epoch + $1", [(1,)])])
        with pytest.raises(StoreError, match="has taken over"):
            await store.commit([Write(INSERT, [("a", 1, 0.0, b"")])])
        assert await store.fetch("SELECT id FROM job") == []

    with_store(new_store, body)


def test_the_feed_and_the_remembered_replies_live_on_every_store(new_store: NewStore) -> None:
    clock = VirtualClock()

    async def body(store: Store) -> None:
        committer = Committer(store)
        feed, replies = Feed(store, committer), Replies(store, committer, clock)
        await feed.open()
        subscription = feed.subscribe("rules")
        first = asyncio.ensure_future(anext(subscription))
        while feed.backlogs != {"rules": 0}:
            await asyncio.sleep(0)
        happened = [Event("batch", "JobStateChange", bytes([n])) for n in range(3)]
        ledger = StoreLedger(feed, replies)
        await committer.commit(ledger.events(happened, 5) + ledger.replies([("k", [1])], 5))
        ledger.published()
        batch = await first
        assert [taken.event for taken in batch.events] == happened
        await committer.commit([batch.cursor])
        waiting = asyncio.ensure_future(anext(subscription))
        while feed.backlogs != {"rules": 0}:
            await asyncio.sleep(0)
        await feed.sweep(clock.now())
        assert await store.fetch("SELECT COUNT(*) FROM event") == [(0,)]
        assert await store.fetch("SELECT reply FROM retry_reply") == [(b"[1]",)]
        await replies.sweep(clock.now())
        assert await store.fetch("SELECT reply FROM retry_reply") == []
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await feed.unsubscribe("rules")
        assert await store.fetch("SELECT subscriber FROM event_cursor") == []

    with_store(new_store, body)


def test_a_retry_is_found_on_every_store(new_store: NewStore) -> None:
    clock = VirtualClock()
    caller = Caller(account="", region="", access_key="", retry_key="k", is_retry=True)

    async def body(store: Store) -> None:
        committer = Committer(store)
        replies = Replies(store, committer, clock)
        await committer.commit(replies.remember([("k", {"jobId": "1"})], clock.now().wall_ms))
        clock.advance(59 * 60_000)
        nobody = cast("Loop", None)  # a remembered reply asks no loop
        assert await replies.ask(nobody, "submit", caller) == {"jobId": "1"}

    with_store(new_store, body)
