"""What PostgreSQL alone has: a lease that runs out, a standby, a connection that breaks."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import asyncpg
import pytest

from tidemill.platform.postgres import PostgresStore
from tidemill.platform.store import Migration, StoreError, Write

TABLE = Migration(
    component="test",
    number=1,
    sqlite="CREATE TABLE note (id INTEGER PRIMARY KEY)",
    postgres="CREATE TABLE note (id BIGINT PRIMARY KEY)",
)
NOTE = "INSERT INTO note (id) VALUES ($1)"
DEADLINE_S = 20.0

LEADER = """
import asyncio, sys
from tidemill.platform.postgres import PostgresStore
from tidemill.platform.store import StoreError, Write

async def main():
    lost = asyncio.get_running_loop().create_future()
    store = PostgresStore(sys.argv[1], lease_ms=1_000, on_lost=lost.set_result)
    await store.open([])
    print(store.epoch, flush=True)
    print("lost:", await lost, flush=True)
    try:
        await store.commit([Write("DELETE FROM note WHERE id = $1", [(1,)])])
    except StoreError as error:
        print("commit:", error, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    return new_postgres_url()


def lead(url: str) -> subprocess.Popen[str]:
    """Another process that leads, with a short lease."""
    return subprocess.Popen([sys.executable, "-c", LEADER, url], stdout=subprocess.PIPE, text=True)


def line_of(leader: subprocess.Popen[str]) -> str:
    assert leader.stdout is not None
    return leader.stdout.readline()


async def disconnect_all(url: str) -> None:
    """End every other connection to this database, as a restart of PostgreSQL would."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


def test_a_standby_takes_over_as_soon_as_the_leader_stops(url: str) -> None:
    async def main() -> None:
        leader, standby = PostgresStore(url), PostgresStore(url, wait_for_lease=True)
        await leader.open([TABLE])
        waiting = asyncio.create_task(standby.open([TABLE]))
        await leader.commit([Write(NOTE, [(1,)])])
        assert not waiting.done()
        await leader.close()
        async with asyncio.timeout(DEADLINE_S / 4):  # far less than the lease
            await waiting
        assert standby.epoch > leader.epoch
        assert await standby.fetch("SELECT id FROM note") == [(1,)]
        await standby.close()

    asyncio.run(main())


def test_a_standby_takes_over_from_a_host_that_stands_still(url: str) -> None:
    async def main() -> None:
        store = PostgresStore(url, wait_for_lease=True)
        with lead(url) as leader:
            first_epoch = int(line_of(leader))
            leader.send_signal(signal.SIGSTOP)
            async with asyncio.timeout(DEADLINE_S):
                await store.open([TABLE])
            assert store.epoch == first_epoch + 1
            await store.commit([Write(NOTE, [(1,)])])
            leader.send_signal(signal.SIGCONT)
            assert re.match(r"lost: Another .* has taken over", line_of(leader))
            assert re.match(r"commit: Another .* has taken over", line_of(leader))
        assert await store.fetch("SELECT id FROM note") == [(1,)]
        await store.close()

    asyncio.run(main())


def test_a_leader_that_was_killed_on_this_machine_is_not_waited_for(url: str) -> None:
    async def main() -> None:
        store = PostgresStore(url)
        with subprocess.Popen(
            [sys.executable, "-c", LEADER, url], stdout=subprocess.PIPE
        ) as leader:
            assert leader.stdout is not None
            first_epoch = int(leader.stdout.readline())
            with pytest.raises(StoreError, match=f"process {leader.pid} "):
                await store.open([])
            leader.kill()
        async with asyncio.timeout(DEADLINE_S / 4):
            await store.open([])
        assert store.epoch == first_epoch + 1
        await store.close()

    asyncio.run(main())


def test_a_lost_connection_fails_the_commit_in_one_sentence(url: str) -> None:
    async def main() -> None:
        store = PostgresStore(url)
        await store.open([TABLE])
        await disconnect_all(url)
        with pytest.raises(StoreError, match="does not answer"):
            await store.commit([Write(NOTE, [(1,)])])
        await store.close()

    asyncio.run(main())


def test_the_lease_is_renewed_while_the_leader_is_idle(url: str) -> None:
    async def main() -> None:
        store = PostgresStore(url, lease_ms=600)
        await store.open([TABLE])
        ((first,),) = await store.fetch("SELECT expires_ms FROM lease")
        async with asyncio.timeout(DEADLINE_S):
            while await store.fetch("SELECT 1 FROM lease WHERE expires_ms > $1", (first,)) == []:
                await asyncio.sleep(0.01)
        await store.commit([Write(NOTE, [(1,)])])
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda url: url.replace("@/test_", "@/missing_"),
            r"'missing_\d+' on this machine.*createdb",
        ),
        (lambda url: url.split("?", 1)[0] + "?host=/nonexistent", "does not answer"),
        (lambda url: url.replace("postgres@", "nosuchuser@"), "check the name and password"),
    ],
)
def test_what_cannot_be_opened_says_why(
    url: str, change: Callable[[str], str], message: str
) -> None:
    async def main() -> None:
        with pytest.raises(StoreError, match=message):
            await PostgresStore(change(url)).open([])

    asyncio.run(main())


def test_a_password_is_never_shown(url: str) -> None:
    async def main() -> None:
        with pytest.raises(StoreError) as caught:
            await PostgresStore("postgresql://me:s3cret@127.0.0.1:1/tidemill").open([])
        assert "s3cret" not in str(caught.value)

    asyncio.run(main())


def test_backup_names_postgresqls_own_tools(url: str) -> None:
    async def main() -> None:
        with pytest.raises(StoreError, match="pg_dump"):
            await PostgresStore(url).backup("/nowhere/copy")

    asyncio.run(main())
