"""The store on a PostgreSQL server: for its backups, and for a standby on another machine.

One connection writes, a few read. Who leads is a row with an epoch and a time of expiry by the
database's own clock, renewed while the server lives; each transaction holds that row, so that a
server which lost it can't commit. Tables lie in the schema `tidemill`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from tidemill.platform import migration
from tidemill.platform.store import Migration, Row, StoreError, Write

LEASE_MS: Final = 15_000
"""How long after its leader's death a standby takes over."""

RENEW_EVERY_S: Final = 5.0

COMMIT_TIMEOUT_S: Final = 30.0
"""A commit that takes longer than this has lost its database."""

READERS_MAX: Final = 4

_UNREACHABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a statement met the news that the connection was ended
    OSError,
    TimeoutError,
)

_NOW_MS: Final = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT"
_TAKE: Final = (
    f"UPDATE lease SET epoch = epoch + 1, holder = $1, expires_ms = {_NOW_MS} + $2"
    f" WHERE expires_ms < {_NOW_MS} OR holder = $3 RETURNING epoch"
)
_HOLDER: Final = f"SELECT holder, expires_ms - {_NOW_MS} FROM lease"
_RENEW: Final = f"UPDATE lease SET expires_ms = {_NOW_MS} + $2 WHERE epoch = $1 RETURNING epoch"
_GIVE_BACK: Final = "UPDATE lease SET expires_ms = 0 WHERE epoch = $1"
_CHANNEL: Final = "tidemill_lease"
_BOOTSTRAP_LOCK: Final = 0x74696465_6D696C6C  # "tidemill": two servers may begin at once


class PostgresStore:
    """A `Store` in the database that `url` names; `on_lost` is told when another server leads.

    With `wait_for_lease` it is a standby: `open` returns once the leader has gone, and
    `on_standby` is told once who leads, when there is one to wait for. Without, it raises while
    there is a leader.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_for_lease: bool = False,
        lease_ms: int = LEASE_MS,
        on_lost: Callable[[StoreError], None] | None = None,
        on_standby: Callable[[str], None] | None = None,
    ) -> None:
        self._url = url
        self._place = _place(url)
        self._wait_for_lease = wait_for_lease
        self._lease_ms = lease_ms
        self.on_lost = on_lost
        self._on_standby = on_standby
        self._epoch = 0
        self._writer: Any = None
        self._readers: Any = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int:
        """The number of this leadership."""
        return self._epoch

    async def open(self, migrations: Sequence[Migration]) -> None:
        """Connect, take the lease (a standby waits for it), bring the schema up to date."""
        try:
            async with self._explained():
                self._writer = await self._connect()
                await self._bootstrap()
                self._epoch = await self._take_lease()
                await self._migrate([*migration.platform_migrations(), *migrations])
                self._readers = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=READERS_MAX,
                    init=_teach_types,
                    server_settings=_settings(),
                )
        except BaseException:
            await self.close()
            raise
        self._renewal = asyncio.create_task(self._renew())

    async def _connect(self) -> Any:
        try:
            connection = await asyncpg.connect(self._url, server_settings=_settings(), timeout=10)
        except ValueError as error:
            if isinstance(error, _UNREACHABLE):
                raise
            # The error may quote what was taken for a port: part of a password, perhaps.
            raise StoreError(
                "The database's URL can't be read: write it as postgresql://user:password@host/name"
                " with %-signs for special characters."
            ) from None
        await _teach_types(connection)
        return connection

    async def _bootstrap(self) -> None:
        async with self._writer.transaction():
            await self._writer.execute(f"SELECT pg_advisory_xact_lock({_BOOTSTRAP_LOCK})")
            known = await self._writer.fetchval("SELECT to_regclass('tidemill.lease')")
            if known is None:
                await self._writer.execute("CREATE SCHEMA IF NOT EXISTS tidemill")
                await self._writer.execute(migration.BOOTSTRAP)

    async def _take_lease(self) -> int:
        freed = asyncio.Event()
        await self._writer.add_listener(_CHANNEL, lambda *_: freed.set())
        dead = ""
        while True:
            epoch = await self._writer.fetchval(_TAKE, _self_name(), self._lease_ms, dead)
            if epoch is not None:
                await self._writer.execute(f"UNLISTEN {_CHANNEL}")
                return int(epoch)
            holder, left_ms = await self._writer.fetchrow(_HOLDER)
            if holder != dead and _has_died(holder):
                dead = holder
                continue
            if not self._wait_for_lease:
                raise StoreError(
                    f"Another Tidemill server ({holder}) leads on {self._place}: stop it, or wait"
                    f" {max(left_ms, 0) // 1000 + 1} s if it has died."
                )
            if self._on_standby is not None:
                self._on_standby(f"{holder} leads on {self._place}")
                self._on_standby = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(freed.wait(), max(left_ms, 0) / 1000 + 0.01)
            freed.clear()

    async def _migrate(self, migrations: Sequence[Migration]) -> None:
        async with self._writer.transaction():
            applied = dict(await self._writer.fetch(migration.VERSIONS))
            for step in migration.pending(migrations, applied, self._place):
                await self._writer.execute(step.postgres)
                await self._writer.execute(migration.SET_VERSION, step.component, step.number)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make `writes` durable in one transaction that holds the lease's row."""
        writer = self._writer
        async with self._explained(), asyncio.timeout(COMMIT_TIMEOUT_S):
            # One round trip for both; the status says how many rows the last statement found.
            status = await writer.execute(
                f"BEGIN; SELECT 1 FROM lease WHERE epoch = {self._epoch} FOR SHARE"
            )
            try:
                if status != "SELECT 1":
                    raise self._lost()
                for write in writes:
                    if len(write.rows) == 1:
                        await writer.execute(write.sql, *write.rows[0])
                    else:
                        await writer.executemany(write.sql, write.rows)
            except BaseException:
                with contextlib.suppress(*_UNREACHABLE):
                    await writer.execute("ROLLBACK")
                raise
            await writer.execute("COMMIT")

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        """The rows of a query, on one of the reading connections."""
        async with self._explained():
            return [tuple(record) for record in await self._readers.fetch(sql, *params)]

    async def backup(self, path: str) -> None:
        """PostgreSQL has its own ways, which are better than a copy through us."""
        raise StoreError(
            f"{path} was not written: back up {self._place} with pg_dump, or with PostgreSQL's"
            " continuous archiving."
        )

    async def close(self) -> None:
        """Give the lease back, which wakes a standby, and disconnect."""
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._epoch and self._writer is not None:
            with contextlib.suppress(asyncpg.PostgresError, *_UNREACHABLE):
                await self._writer.execute(_GIVE_BACK, self._epoch)
                await self._writer.execute(f"NOTIFY {_CHANNEL}")
        await self._disconnect()

    async def _disconnect(self) -> None:
        readers, self._readers = self._readers, None
        writer, self._writer = self._writer, None
        with contextlib.suppress(asyncpg.PostgresError, *_UNREACHABLE):
            if readers is not None:
                await readers.close()
            if writer is not None:
                await writer.close(timeout=5)

    async def _renew(self) -> None:
        """Push the lease's end forward; a failure is tried again, and judged by the next commit."""
        while True:
            await asyncio.sleep(min(RENEW_EVERY_S, self._lease_ms / 3000))
            try:
                held = await self._readers.fetchval(_RENEW, self._epoch, self._lease_ms, timeout=5)
            except (asyncpg.PostgresError, *_UNREACHABLE):
                continue
            if held is None:
                if self.on_lost is not None:
                    self.on_lost(self._lost())
                return

    def _lost(self) -> StoreError:
        return StoreError(f"Another Tidemill server has taken over {self._place}: this one ends.")

    @asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        """Turn PostgreSQL's errors into one sentence that says what to do."""
        try:
            yield
        except asyncpg.DiskFullError:
            raise StoreError(
                f"The disk of {self._place} is full: make room there, then start again."
            ) from None
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            raise StoreError(
                f"{self._place} refuses this user ({error}): check the name and password in the"
                " database's URL."
            ) from None
        except asyncpg.InvalidCatalogNameError as error:
            raise StoreError(
                f"{self._place} can't be used ({error}): create the database with createdb."
            ) from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreError(
                f"{self._place} does not let this user make tables ({error}): grant it CREATE on"
                " the database."
            ) from None
        except _UNREACHABLE as error:
            raise StoreError(
                f"{self._place} does not answer ({error or type(error).__name__}): check that it"
                " runs and can be reached, then start again."
            ) from error


def _settings() -> dict[str, str]:
    return {"search_path": "tidemill", "application_name": "tidemill"}


async def _teach_types(connection: Any) -> None:
    """NUMERIC, which sums are, comes as int or float, as from SQLite."""
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text"
    )


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _self_name() -> str:
    return f"process {os.getpid()} on {_machine()}"


def _has_died(holder: str) -> bool:
    """Whether it was a process of this very machine that is gone: no need to wait for it then."""
    pid, _, machine = holder.removeprefix("process ").partition(" on ")
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@functools.cache
def _machine() -> str:
    """The host, and what tells its process numbers from those before a boot or in a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()} (boot {boot}, pid namespace {space})"


def _place(url: str) -> str:
    """How messages name the database: without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the PostgreSQL database"
    return f"the PostgreSQL database {parts.path.lstrip('/') or 'of this user'!r} on " + (
        parts.hostname or "this machine"
    )
