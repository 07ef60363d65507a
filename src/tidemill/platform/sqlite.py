"""The embedded store: one SQLite file, written by one connection and durable at each commit.

Transactions, sync included, and short reads are made in the asyncio loop's own thread. They take
microseconds (the sync as long as the disk needs), and whoever is served next mostly waits for
them anyway; a thread instead would have to win the interpreter back from a busy loop, row by
row, which was measured to take up to a second. Long reads, checkpoints and backups do have one.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from tidemill.platform import migration
from tidemill.platform.checkpoint import Checkpoint
from tidemill.platform.flock import FileLock
from tidemill.platform.store import Migration, Row, StoreError, Write
from tidemill.platform.worker import Worker

READ_BUDGET_OPS: Final = 10_000
"""A read of more SQLite instructions than about this (half a millisecond) moves to a thread."""

_PARAMETER: Final = re.compile(r"\$(\d+)")


@functools.lru_cache(maxsize=2048)
def _dialect(sql: str) -> str:
    """SQLite's form of `sql`: `?1` for `$1`."""
    return _PARAMETER.sub(r"?\1", sql)


class SqliteStore:
    """A `Store` in the file `path`, which one server at a time may use."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = FileLock(self._path.with_name(self._path.name + ".lock"))
        self._epoch = 0
        self._read_worker = Worker("store-read")
        self._checkpoint = Checkpoint()
        self._over_budget = 0
        self._connections: list[apsw.Connection] = []

    @property
    def epoch(self) -> int:
        """The number of this leadership."""
        return self._epoch

    async def open(self, migrations: Sequence[Migration]) -> None:
        """Take the lock on the folder, open the file, bring its schema up to date."""
        self._lock.acquire()
        try:
            with _explained(self._path):
                self._open([*migration.platform_migrations(), *migrations])
        except BaseException:
            self._disconnect()
            raise

    def _open(self, migrations: Sequence[Migration]) -> None:
        # Jobs' environments are in it: for its owner alone, and so is what SQLite puts beside it.
        self._path.touch(mode=0o600)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._writer = self._connect(flags, cache_kib=16_384)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        self._writer.execute("PRAGMA wal_autocheckpoint = 0")
        self._writer.execute("PRAGMA journal_size_limit = 67108864")
        self._migrate(migrations)
        self._writer.set_wal_hook(self._checkpoint.note_commit)
        self._reader = self._connect(apsw.SQLITE_OPEN_READONLY, cache_kib=8_192)
        self._reader.set_progress_handler(self._spend, READ_BUDGET_OPS)
        self._long_reader = self._connect(apsw.SQLITE_OPEN_READONLY, cache_kib=2_048)
        self._checkpoint.open(self._connect(apsw.SQLITE_OPEN_READWRITE, cache_kib=512))

    def _connect(self, flags: int, cache_kib: int) -> apsw.Connection:
        connection = _connect(self._path, flags)
        self._connections.append(connection)
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA case_sensitive_like = ON")  # as PostgreSQL does it
        return connection

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        write = self._writer.execute
        with self._writer:
            write(migration.BOOTSTRAP)
            applied = {str(name): int(number) for name, number in write(migration.VERSIONS)}
            for step in migration.pending(migrations, applied, str(self._path)):
                write(step.sqlite)
                write(_dialect(migration.SET_VERSION), (step.component, step.number))
            write("UPDATE lease SET epoch = epoch + 1")
            self._epoch = int(write("SELECT epoch FROM lease").get)

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make `writes` durable in one transaction, with one sync of the disk."""
        with _explained(self._path):
            try:
                self._checkpoint.finish_if_due(self._writer)
                self._write(writes)
                self._writer.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        self._checkpoint.begin_if_due()

    def _write(self, writes: Sequence[Write]) -> None:
        execute = self._writer.execute
        execute("BEGIN IMMEDIATE")
        if execute("SELECT epoch FROM lease").get != self._epoch:
            raise StoreError(f"Another Tidemill server has taken over {self._path}: this one ends.")
        for write in writes:
            if len(write.rows) == 1:
                execute(_dialect(write.sql), write.rows[0])
            else:
                self._writer.executemany(_dialect(write.sql), write.rows)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        """The rows of a query; one that takes long is begun anew in a thread."""
        sql = _dialect(sql)
        with _explained(self._path):
            try:
                self._over_budget = 0
                return self._reader.execute(sql, params).fetchall()
            except apsw.InterruptError:
                return await self._read_worker.call(
                    lambda: self._long_reader.execute(sql, params).fetchall()
                )

    def _spend(self) -> bool:
        """Whether to give up: SQLite calls at some time in the first budget, then at each."""
        self._over_budget += 1
        return self._over_budget > 1

    async def backup(self, path: str) -> None:
        """Copy the database to the new file `path`, in a thread."""
        with _explained(Path(path)):
            worker = Worker("store-backup")
            try:
                await worker.call(lambda: _copy(self._path, Path(path)))
            finally:
                worker.close()

    async def close(self) -> None:
        """Close the file, which empties its log into it, and let another server in."""
        self._read_worker.close()
        self._checkpoint.close()
        with _explained(self._path):
            self._disconnect()

    def _disconnect(self) -> None:
        try:
            while self._connections:
                self._connections.pop().close()
        finally:
            self._lock.release()


def _connect(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=512)
    connection.set_busy_timeout(5_000)
    return connection


def _copy(source: Path, target: Path) -> None:
    """Copy in one read transaction, which holds up no writer; half a copy is never left behind."""
    if target.exists():
        raise StoreError(f"{target} exists already: name a new file for the backup.")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    try:
        reader = _connect(source, apsw.SQLITE_OPEN_READONLY)
        copy = apsw.Connection(str(partial))
        with copy.backup("main", reader, "main") as backup:
            backup.step()
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.close()
        reader.close()
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one sentence that says what to do."""
    try:
        yield
    except apsw.FullError:
        raise StoreError(
            f"The disk that holds {path} is full: make room, then start again."
        ) from None
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreError(
            f"{path} is damaged or no Tidemill database ({error}): restore it from a backup."
        ) from error
    except (apsw.BusyError, apsw.LockedError):
        raise StoreError(
            f"Another program holds {path} locked (an SQLite shell, perhaps): end it, then start"
            " again."
        ) from None
    except (
        apsw.CantOpenError,
        apsw.ReadOnlyError,
        apsw.PermissionsError,
        PermissionError,
    ) as error:
        raise StoreError(
            f"{path} can't be opened for writing ({error}): give this user access to it and its"
            " folder."
        ) from error
    except (apsw.IOError, OSError) as error:
        raise StoreError(
            f"The disk that holds {path} failed ({error}): check it, then start again."
        ) from error
