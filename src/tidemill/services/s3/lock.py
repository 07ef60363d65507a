"""Locks by name: many may share one, or one has it alone; taken in the order of asking.

Writes that depend on nothing share their key and bucket; what decides on what is there
(If-None-Match, DeleteBucket, CompleteMultipartUpload) has them alone while it looks and commits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Entry:
    shared: int = 0
    alone: bool = False
    waiting: deque[tuple[bool, asyncio.Future[None]]] = field(default_factory=deque)


class NamedLocks:
    """Holds an entry for each name that somebody holds or waits for, and for no other."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    @asynccontextmanager
    async def shared(self, name: Hashable) -> AsyncIterator[None]:
        """Beside others who share `name`, while nobody has it alone."""
        await self._take(name, alone=False)
        try:
            yield
        finally:
            self._give_back(name)

    @asynccontextmanager
    async def alone(self, name: Hashable) -> AsyncIterator[None]:
        """While nobody else has `name` in either way."""
        await self._take(name, alone=True)
        try:
            yield
        finally:
            self._give_back(name)

    async def _take(self, name: Hashable, *, alone: bool) -> None:
        entry = self._entries.setdefault(name, _Entry())
        if not entry.waiting and not entry.alone and not (alone and entry.shared):
            _admit(entry, alone)
            return
        turn = asyncio.get_running_loop().create_future()
        entry.waiting.append((alone, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(name)
            elif (alone, turn) in entry.waiting:  # if not, its turn has come and gone meanwhile
                entry.waiting.remove((alone, turn))
                self._let_in(name, entry)
            raise

    def _give_back(self, name: Hashable) -> None:
        entry = self._entries[name]
        if entry.alone:
            entry.alone = False
        else:
            entry.shared -= 1
        self._let_in(name, entry)

    def _let_in(self, name: Hashable, entry: _Entry) -> None:
        while entry.waiting:
            alone, turn = entry.waiting[0]
            if entry.alone or (alone and entry.shared):
                return
            entry.waiting.popleft()
            if not turn.cancelled():
                _admit(entry, alone)
                turn.set_result(None)
        if not entry.shared and not entry.alone:
            del self._entries[name]


def _admit(entry: _Entry, alone: bool) -> None:
    if alone:
        entry.alone = True
    else:
        entry.shared += 1
