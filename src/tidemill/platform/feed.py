"""The events feed: one numbered row for each event, and a cursor for each subscriber.

Numbers are given in memory, as there is one writer. A subscriber commits its cursor together
with whatever it made of the events, so that each is taken exactly once however often either side
ends. Rows behind all cursors are deleted; while nobody subscribes nothing is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from tidemill.platform.clock import Now
from tidemill.platform.commit import Committer
from tidemill.platform.core import Event
from tidemill.platform.store import Store, Write

BATCH_MAX: Final = 500
"""Events in one batch of a subscriber."""

BACKLOG_MAX: Final = 1_000_000
"""A subscriber further behind than this loses its oldest events, so that the disk never fills."""

_SWEEP_ROWS: Final = 1_000
_SWEEP_PAUSE_MS: Final = 20
_SWEEP_EVERY_MS: Final = 15_000

_BOUNDS: Final = "SELECT MIN(number), MAX(number) FROM event"
_CURSORS: Final = "SELECT subscriber, number FROM event_cursor"
_READ: Final = (
    "SELECT number, wall_ms, source, kind, body FROM event"
    " WHERE number > $1 ORDER BY number LIMIT $2"
)
_APPEND: Final = (
    "INSERT INTO event (number, wall_ms, source, kind, body) VALUES ($1, $2, $3, $4, $5)"
)
_DELETE: Final = "DELETE FROM event WHERE number <= $1"
_SET_CURSOR: Final = (
    "INSERT INTO event_cursor (subscriber, number) VALUES ($1, $2)"
    " ON CONFLICT (subscriber) DO UPDATE SET number = excluded.number"
)
_DROP_CURSOR: Final = "DELETE FROM event_cursor WHERE subscriber = $1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event as a subscriber gets it, with its number and the time of its transaction."""

    number: int
    wall_ms: int
    event: Event


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Some events in order. `cursor` must be committed with what the subscriber makes of them."""

    events: Sequence[FeedEvent]
    cursor: Write


class Feed:
    """Gives events their numbers and subscribers their events; housekeeping runs `sweep`."""

    def __init__(self, store: Store, committer: Committer, backlog_max: int = BACKLOG_MAX) -> None:
        self._store = store
        self._committer = committer
        self._backlog_max = backlog_max
        self._last = 0
        self._first = 1
        self._cursors: dict[str, int] = {}
        self._wakes: dict[str, asyncio.Event] = {}

    async def open(self) -> None:
        """Learn from the store who subscribes and which number comes next."""
        self._cursors = dict(await self._store.fetch(_CURSORS))
        ((first, last),) = await self._store.fetch(_BOUNDS)
        self._last = max(last or 0, *self._cursors.values(), 0)
        self._first = first or self._last + 1

    def append(self, events: Sequence[Event], wall_ms: int) -> list[Write]:
        """The writes that put `events` at the end of the feed; none without a subscriber."""
        if not self._cursors:
            return []
        rows = [
            (number, wall_ms, event.source, event.kind, event.body)
            for number, event in enumerate(events, self._last + 1)
        ]
        self._last += len(rows)
        return [Write(_APPEND, rows)]

    def publish(self) -> None:
        """What was appended is committed: wake who waits for it."""
        for wake in self._wakes.values():
            wake.set()

    async def subscribe(self, name: str) -> AsyncIterator[EventBatch]:
        """The events from this subscriber's cursor on, for ever, in batches.

        A new subscriber gets what is appended from now on. Asking for the next batch says that
        the cursor of the last one is committed. Whoever stops asking is taken up again where
        its cursor is; `unsubscribe` ends it for good.
        """
        if name in self._wakes:
            self._wakes[name].set()  # an earlier subscription of this name ends
        wake = self._wakes[name] = asyncio.Event()
        if name not in self._cursors:
            self._cursors[name] = self._last
            await self._committer.commit([Write(_SET_CURSOR, [(name, self._last)])])
        try:
            while name in self._cursors and self._wakes.get(name) is wake:
                wake.clear()
                batch = await self._read(name)
                if batch is None:
                    await wake.wait()
                    continue
                yield batch
                if name in self._cursors:
                    self._cursors[name] = max(self._cursors[name], batch.events[-1].number)
        finally:
            if self._wakes.get(name) is wake:
                del self._wakes[name]

    async def _read(self, name: str) -> EventBatch | None:
        rows = await self._store.fetch(_READ, (self._cursors[name], BATCH_MAX))
        if not rows:
            return None
        events = [
            FeedEvent(number, wall_ms, Event(source, kind, body))
            for number, wall_ms, source, kind, body in rows
        ]
        return EventBatch(events, Write(_SET_CURSOR, [(name, events[-1].number)]))

    async def unsubscribe(self, name: str) -> None:
        """Forget a subscriber and its cursor; a subscription under way ends."""
        self._cursors.pop(name, None)
        if (wake := self._wakes.get(name)) is not None:
            wake.set()
        await self._committer.commit([Write(_DROP_CURSOR, [(name,)])])

    @property
    def backlogs(self) -> dict[str, int]:
        """How many events each subscriber has not dealt with yet."""
        return {name: self._last - number for name, number in self._cursors.items()}

    async def sweep(self, now: Now) -> int | None:
        """A housekeeping duty: cap who is stuck, delete some rows that all are past."""
        await self._cap()
        behind_all = min(self._cursors.values(), default=self._last)
        until = min(behind_all, self._first + _SWEEP_ROWS - 1)
        if until < self._first:
            return now.mono_ms + _SWEEP_EVERY_MS
        await self._committer.commit([Write(_DELETE, [(until,)])])
        self._first = until + 1
        return now.mono_ms + (_SWEEP_PAUSE_MS if until < behind_all else _SWEEP_EVERY_MS)

    async def _cap(self) -> None:
        for name, backlog in self.backlogs.items():
            if backlog > self._backlog_max:
                self._cursors[name] = self._last - self._backlog_max
                _log.error(
                    "The feed's subscriber %s is stuck: its oldest %d events are dropped, so that"
                    " no more than %d wait for it.",
                    name,
                    backlog - self._backlog_max,
                    self._backlog_max,
                )
                await self._committer.commit([Write(_SET_CURSOR, [(name, self._cursors[name])])])
