"""An engine that runs nothing: it takes orders down, and reports what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tidemill.platform.engine import Attempt, Exited, Observe, Pool, Started, Stop


class FakeEngine:
    """A `tidemill.platform.engine.Engine`; `finishes` ends each attempt as soon as it starts."""

    look_ahead = False

    def __init__(self, *, finishes: bool = False) -> None:
        self.finishes = finishes
        self.started: dict[str, Attempt] = {}
        self.stopped: list[str] = []
        self.recovered: list[str] = []
        self.settled: list[str] = []
        self.pools: Sequence[Pool] = ()
        self.epoch = 0
        self._observe: Observe | None = None
        self._news = asyncio.Event()

    async def open(self, observe: Observe, *, epoch: int) -> None:
        self._observe = observe
        self.epoch = epoch

    async def close(self, *, stop_jobs: bool) -> None:
        if stop_jobs:
            for attempt_id in list(self.started):
                self.exit(attempt_id, 143)

    def resize(self, pools: Sequence[Pool]) -> None:
        self.pools = pools

    def start(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self.started[attempt.attempt_id] = attempt
        if self.finishes:
            self.observe(
                *(
                    Exited(attempt_id=each.attempt_id, at_ms=2, exit_code=0, started_at_ms=1)
                    for each in attempts
                )
            )
        self._news.set()

    def stop(self, stops: Sequence[Stop]) -> None:
        self.stopped += [each.attempt_id for each in stops]
        self._news.set()

    def recover(self, attempt_ids: Sequence[str]) -> None:
        self.recovered += attempt_ids
        self._news.set()

    def settle(self, attempt_ids: Sequence[str]) -> None:
        self.settled += attempt_ids
        self._news.set()

    def observe(self, *reports: Started | Exited) -> None:
        assert self._observe is not None
        self._observe(reports)

    def start_seen(self, attempt_id: str, at_ms: int = 1) -> None:
        self.observe(Started(attempt_id=attempt_id, at_ms=at_ms))

    def exit(self, attempt_id: str, code: int = 0) -> None:
        self.observe(Exited(attempt_id=attempt_id, at_ms=2, exit_code=code, started_at_ms=1))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until orders have made `condition` true."""
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()
