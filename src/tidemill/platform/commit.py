"""Group commit: whatever waits goes into one transaction, one fsync for all of it.

There is one `Committer` a server, and it is the only one that writes. While a transaction is
under way, further writes gather and go together into the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidemill.platform.store import Store, StoreError, Write


class Committer:
    """Serialises all writes of the server into batched transactions.

    A failed transaction is final: `failed` is set to its error, every later commit raises it,
    and the server stops, because what is in memory is ahead of what is durable.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writes: list[Write] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._running = False
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def commit(self, writes: Sequence[Write]) -> None:
        """Return when `writes` are durable; order among callers is the order of the calls."""
        if self._error is not None:
            raise self._error
        future = asyncio.get_running_loop().create_future()
        self._writes.extend(writes)
        self._waiting.append(future)
        if not self._running:
            self._running = True
            self._task = asyncio.create_task(self._drain())
        await future

    async def settled(self) -> None:
        """Return when everything handed in so far is durable; at once when nothing is waiting."""
        if self._running or self._error is not None:
            await self.commit(())

    async def _drain(self) -> None:
        waiting: list[asyncio.Future[None]] = []
        try:
            while self._waiting:
                writes, self._writes = self._writes, []
                waiting, self._waiting = self._waiting, []
                if writes:
                    await self._store.commit(writes)
                for future in waiting:
                    if not future.done():
                        future.set_result(None)
        except asyncio.CancelledError:
            self._fail(StoreError("The server ended before this was durable."), waiting)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the server must stop on it
            self._fail(error, waiting)
        finally:
            self._running = False

    def _fail(self, error: Exception, waiting: list[asyncio.Future[None]]) -> None:
        self._error = error
        for future in (*waiting, *self._waiting):
            if not future.done():
                future.set_exception(error)
        self._writes = []
        self._waiting = []
        if not self.failed.done():
            self.failed.set_result(error)
