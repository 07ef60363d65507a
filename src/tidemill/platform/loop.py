"""The loop around a core: gather what waits, decide, commit, then reply and perform.

Everything moves in batches. While one batch is being committed the next one gathers, so that
under load a transaction serves hundreds of messages, and an idle server answers one at once.
The loop sleeps until a message comes or the core's next wake-up is due; it never polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.platform.clock import Clock, Timer
from tidemill.platform.commit import Committer
from tidemill.platform.core import Core, Event, Outcome
from tidemill.platform.store import Write

BATCH_MAX: Final = 512
"""Messages in one batch: enough to share an fsync, few enough to keep the wait short."""


@dataclass(slots=True)
class _Letter:
    message: Any
    reply: asyncio.Future[Any] | None
    retry_key: str | None


class Ledger:
    """What the loop adds to a core's own writes: the events feed and the retried calls' replies.

    Both are optional parts of the platform; the loop only knows that they turn into writes.
    """

    def events(self, events: Sequence[Event], wall_ms: int) -> list[Write]:
        """The writes that append `events` to the feed; called once a batch, before its commit."""
        return []

    def published(self) -> None:
        """The events handed over last are committed: subscribers may be woken."""

    def replies(self, replies: Sequence[tuple[str, Any]], wall_ms: int) -> list[Write]:
        """The writes that remember the reply to each retry key."""
        return []


class Loop:
    """Drives one core. `perform` is handed the effects of each committed batch."""

    def __init__(
        self,
        core: Core,
        committer: Committer,
        clock: Clock,
        perform: Callable[[Sequence[Any]], None],
        ledger: Ledger | None = None,
    ) -> None:
        self._core = core
        self._committer = committer
        self._clock = clock
        self._perform = perform
        self._ledger = ledger or Ledger()
        self._inbox: list[_Letter] = []
        self._wake: asyncio.Event = asyncio.Event()
        self._timer: Timer | None = None

    async def ask(self, message: Any, *, retry_key: str | None = None) -> Any:
        """The core's reply to a command, given after all that it changed is durable.

        Raises what the core refused it with. With a `retry_key` the reply is remembered in the
        same transaction.
        """
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._inbox.append(_Letter(message, reply, retry_key))
        self._wake.set()
        return await reply

    def tell(self, messages: Iterable[Any]) -> None:
        """Hand observations to the core; nobody waits for them."""
        self._inbox.extend(_Letter(message, None, None) for message in messages)
        self._wake.set()

    async def run(self) -> None:
        """Turn until cancelled; an error of a commit ends it (the server stops then)."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            letters, self._inbox = self._inbox[:BATCH_MAX], self._inbox[BATCH_MAX:]
            if self._inbox:
                self._wake.set()
            await self._turn(letters)

    async def _turn(self, letters: list[_Letter]) -> None:
        now = self._clock.now()
        outcome = self._core.handle([letter.message for letter in letters], now)
        writes = outcome.writes
        if outcome.events:
            writes.extend(self._ledger.events(outcome.events, now.wall_ms))
        remembered = [
            (letter.retry_key, reply)
            for letter, reply in zip(letters, outcome.replies, strict=True)
            if letter.retry_key is not None and not isinstance(reply, Exception)
        ]
        if remembered:
            writes.extend(self._ledger.replies(remembered, now.wall_ms))
        if writes:
            try:
                await self._committer.commit(writes)
            except Exception as error:
                _refuse(letters, error)
                raise
        self._deliver(letters, outcome)

    def _deliver(self, letters: list[_Letter], outcome: Outcome) -> None:
        for letter, reply in zip(letters, outcome.replies, strict=True):
            if letter.reply is None or letter.reply.done():
                continue
            if isinstance(reply, Exception):
                letter.reply.set_exception(reply)
            else:
                letter.reply.set_result(reply)
        if outcome.events:
            self._ledger.published()
        if outcome.effects:
            self._perform(outcome.effects)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = self._core.next_wake_ms
        if due_ms is not None:
            self._timer = self._clock.call_at(due_ms, self._wake.set)


def _refuse(letters: list[_Letter], error: Exception) -> None:
    for letter in letters:
        if letter.reply is not None and not letter.reply.done():
            letter.reply.set_exception(error)
