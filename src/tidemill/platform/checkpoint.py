"""Moves what is in SQLite's write-ahead log into the database, beside the commits.

A checkpoint in the background never gets quite to the end while commits go on, and the log
begins anew only at its end. So once the log is long, a commit does the little that is left.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import apsw

from tidemill.platform.worker import Worker

CHECKPOINT_PAGES: Final = 1_000
"""So many pages that were not moved yet (4 MB) begin a checkpoint in the background."""

LONG_PAGES: Final = 16_000
"""From this length on (64 MB) a commit finishes a checkpoint that has little left to move."""

IDLE_S: Final = 2.0
"""After so long without a commit a short log is moved too."""

_log = logging.getLogger(__name__)


class Checkpoint:
    """Looks after the log of one database; called at each commit, it mostly compares numbers."""

    def __init__(self) -> None:
        self._worker = Worker("store-checkpoint")
        self._connection: apsw.Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pages = 0
        self._moved = 0
        self._committed_at = 0.0

    def open(self, connection: apsw.Connection) -> None:
        """Use `connection`, with which nobody else works, for what is done in the background."""
        self._connection = connection

    def close(self) -> None:
        """Wait for what is under way and stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connection = None
        self._worker.close()

    def note_commit(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        """SQLite calls this after each commit, with the log's length."""
        if pages < self._pages:
            self._moved = 0
        self._pages = pages
        return apsw.SQLITE_OK

    def finish_if_due(self, writer: apsw.Connection) -> None:
        """Before a transaction: move the rest of a long log, so that it begins anew with it."""
        if (
            self._pages > LONG_PAGES
            and 0 < self._pages - self._moved < CHECKPOINT_PAGES
            and self._running is None
        ):
            _, self._moved = writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def begin_if_due(self) -> None:
        """After a transaction: begin a checkpoint, now or once nothing happens any more."""
        loop = asyncio.get_running_loop()
        self._committed_at = loop.time()
        if self._pages - self._moved >= CHECKPOINT_PAGES:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        rested_s = loop.time() - self._committed_at
        if rested_s < IDLE_S:
            self._timer = loop.call_later(IDLE_S - rested_s, self._rest)
        elif self._pages > self._moved:
            self._begin()

    def _begin(self) -> None:
        if self._running is None and self._connection is not None:
            self._running = asyncio.get_running_loop().create_task(self._run(self._connection))

    async def _run(self, connection: apsw.Connection) -> None:
        try:
            self._moved = await self._worker.call(lambda: _move(connection))
        except apsw.Error as error:
            # Nothing is lost: the log holds it all, and the next commit meets the same disk.
            _log.warning("The database's log could not be moved into it: %s", error)
        finally:
            self._running = None


def _move(connection: apsw.Connection) -> int:
    return connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)[1]
