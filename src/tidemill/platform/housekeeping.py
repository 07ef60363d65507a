"""Runs the duties of the background: each does a small step whenever it is due.

What is too old is removed in steps small enough that a commit never waits long behind one. A
duty says itself when it is next due, so that nothing wakes an idle server but what is needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from tidemill.platform.clock import Clock, Now
from tidemill.platform.store import StoreError

Duty = Callable[[Now], Awaitable[int | None]]
"""Does one bounded step; returns the monotonic time in ms at which it is next due, or None."""

RETRY_MS: Final = 60_000
"""How long a duty rests that raised an error."""

_log = logging.getLogger(__name__)


class Housekeeping:
    """Runs the duties given by name, one step at a time, from the first turn on."""

    def __init__(self, clock: Clock, duties: Mapping[str, Duty]) -> None:
        self._clock = clock
        self._duties = dict(duties)
        self._hastened: set[str] = set()
        self._wake = asyncio.Event()

    def hasten(self, name: str) -> None:
        """Let a duty have its turn at once, as something has come up that it did not know of."""
        self._hastened.add(name)
        self._wake.set()

    async def run(self) -> None:
        """Turn until cancelled.

        A duty whose read of the store failed has its next turn a minute later. A failed commit
        ends the server, and is the committer's to tell.
        """
        start_ms = self._clock.now().mono_ms
        due_ms: dict[str, int] = dict.fromkeys(self._duties, start_ms)
        while due_ms:
            while self._hastened:
                due_ms[self._hastened.pop()] = start_ms
            name = min(due_ms, key=due_ms.__getitem__)
            await self._reach(due_ms[name])
            if self._hastened:
                continue
            next_ms = await self._step(name)
            if next_ms is None:
                del due_ms[name]
            else:
                due_ms[name] = next_ms

    async def _reach(self, mono_ms: int) -> None:
        if self._clock.now().mono_ms >= mono_ms:
            await asyncio.sleep(0)
            return
        self._wake.clear()
        timer = self._clock.call_at(mono_ms, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _step(self, name: str) -> int | None:
        now = self._clock.now()
        try:
            return await self._duties[name](now)
        except StoreError as error:  # says all in its one sentence
            _log.warning("Housekeeping rests at %s for a minute: %s", name, error)
        except Exception:  # noqa: BLE001 - one duty's bug must not end the others
            _log.exception("Housekeeping failed at %s; it is tried again in a minute.", name)
        return now.mono_ms + RETRY_MS
