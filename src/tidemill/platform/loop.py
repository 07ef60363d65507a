"""The loop around a core: gather what waits, decide, commit, then reply and perform.

Everything moves in batches. While one batch is being committed the next one gathers, so that
under load a transaction serves hundreds of messages, and an idle server answers one at once.
The loop sleeps until a message comes or the core's next wake-up is due; it never polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

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


class Stopped(Exception):
    """The server is stopping: send the call again once it is back."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Ledger(Protocol):
    """What the loop adds to a core's own writes: the events feed and the retried calls' replies.

    Both are optional parts of the platform; the loop only knows that they turn into writes.
    """

    def events(self, events: Sequence[Event], wall_ms: int) -> list[Write]:
        """The writes that append `events` to the feed; called once a batch, before its commit."""

    def published(self) -> None:
        """Events handed over earlier are committed: subscribers may be woken."""

    def replies(self, replies: Sequence[tuple[str, Any]], wall_ms: int) -> list[Write]:
        """The writes that remember the reply to each retry key."""


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
        self._ledger = ledger
        self._inbox: list[_Letter] = []
        self._wake: asyncio.Event = asyncio.Event()
        self._timer: Timer | None = None
        self._timer_due_ms: int | None = None
        self._end: Exception | None = None

    async def ask(self, message: Any, *, retry_key: str | None = None) -> Any:
        """The core's reply to a command, given after all that it changed is durable.

        Raises what the core refused it with. With a `retry_key` the reply is remembered in the
        same transaction. A caller that is cancelled does not take the command back.
        """
        return await self.post(message, retry_key=retry_key)

    def post(self, message: Any, *, retry_key: str | None = None) -> asyncio.Future[Any]:
        """Hand a command to the core now; the future gets what `ask` returns."""
        if self._end is not None:
            raise self._end
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._inbox.append(_Letter(message, reply, retry_key))
        self._wake.set()
        return reply

    def tell(self, messages: Iterable[Any]) -> None:
        """Hand observations to the core; nobody waits for them."""
        self._inbox.extend([_Letter(message, None, None) for message in messages])
        self._wake.set()

    async def settled(self) -> None:
        """Return when all that the core's memory shows is durable: a read waits for this.

        It costs nothing while no transaction is under way.
        """
        await self._committer.settled()

    async def run(self) -> None:
        """Turn until cancelled; begins with a wake-up, so that what is due is done at once.

        An error ends it, and the server must stop then: one of a commit, or one that the core
        raised itself, which is a bug that may have left its memory half changed. Whoever still
        waits is refused with it.
        """
        self._wake.set()
        letters: list[_Letter] = []
        end: Exception = Stopped()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                letters, self._inbox = self._inbox[:BATCH_MAX], self._inbox[BATCH_MAX:]
                if self._inbox:
                    self._wake.set()
                await self._turn(letters)
        except Exception as error:
            end = error
            raise
        finally:
            self._close(letters, end)

    async def _turn(self, letters: list[_Letter]) -> None:
        now = self._clock.now()
        outcome = self._core.handle([letter.message for letter in letters], now)
        writes = outcome.writes
        if self._ledger is not None:
            writes.extend(self._ledger_writes(self._ledger, letters, outcome, now.wall_ms))
        if writes:
            await self._committer.commit(writes)
        self._deliver(letters, outcome)

    def _ledger_writes(
        self, ledger: Ledger, letters: list[_Letter], outcome: Outcome, wall_ms: int
    ) -> list[Write]:
        remembered = [
            (letter.retry_key, reply)
            for letter, reply in zip(letters, outcome.replies, strict=True)
            if letter.retry_key is not None and not isinstance(reply, Exception)
        ]
        writes = ledger.replies(remembered, wall_ms) if remembered else []
        if outcome.events:
            writes.extend(ledger.events(outcome.events, wall_ms))
        return writes

    def _deliver(self, letters: list[_Letter], outcome: Outcome) -> None:
        for letter, reply in zip(letters, outcome.replies, strict=True):
            if letter.reply is None or letter.reply.done():
                continue
            if isinstance(reply, Exception):
                letter.reply.set_exception(reply)
            else:
                letter.reply.set_result(reply)
        if outcome.events and self._ledger is not None:
            self._ledger.published()
        if outcome.effects:
            self._perform(outcome.effects)
        self._set_timer()

    def _set_timer(self) -> None:
        due_ms = self._core.next_wake_ms
        if due_ms == self._timer_due_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ms = due_ms
        self._timer = None if due_ms is None else self._clock.call_at(due_ms, self._ring)

    def _ring(self) -> None:
        self._timer = self._timer_due_ms = None
        self._wake.set()

    def _close(self, letters: list[_Letter], end: Exception) -> None:
        self._end = end
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._timer_due_ms = None
        for letter in (*letters, *self._inbox):
            if letter.reply is not None and not letter.reply.done():
                letter.reply.set_exception(end)
        self._inbox = []
