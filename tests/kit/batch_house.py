"""Batch's runtime on a real store, with engines that only take orders down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fake_engine import FakeEngine

from tidemill.platform.clock import Clock, RealClock
from tidemill.platform.commit import Committer
from tidemill.platform.feed import Feed
from tidemill.platform.ledger import StoreLedger
from tidemill.platform.limit import LIFTED
from tidemill.platform.retry import Replies
from tidemill.platform.store import Store
from tidemill.services.batch import store
from tidemill.services.batch.command import CancelJob, Change, SubmitJob
from tidemill.services.batch.environment import Offer
from tidemill.services.batch.name import Names
from tidemill.services.batch.request import Request
from tidemill.services.batch.run import MIGRATIONS, Runtime
from tidemill.services.batch.state import State

NewStore = Callable[[], Store]

BODY = b"""{"container": {"command": ["render", "3"], "image": "python",
  "environment": [{"name": "MODE", "value": "fast"}, {"name": "AWS_REGION", "value": "x"},
                  {"name": "TIDEMILL_DIRECTORY", "value": "/srv"}],
  "ulimits": [{"name": "nofile", "hardLimit": 20, "softLimit": 10}]}}"""


def submission(job_id: str, **members: Any) -> SubmitJob:
    given: dict[str, Any] = {
        "job_id": job_id,
        "name": "work",
        "queue": "default",
        "definition_name": "render",
        "definition_arn": "arn:aws:batch:us-east-1:000000000000:job-definition/render:1",
        "request": Request(1000, 512),
        "body": BODY,
    }
    return SubmitJob(**{**given, **members})


class House:
    """One server's life on a data folder."""

    def __init__(self, database: Store, engine: FakeEngine, clock: Clock) -> None:
        self.engine = engine
        self.other = FakeEngine()
        self.database = database
        self.clock = clock

    async def __aenter__(self) -> House:
        await self.database.open(MIGRATIONS)
        self.committer = committer = Committer(self.database)
        self.feed = Feed(self.database, committer)
        await self.feed.open()
        self.runtime = Runtime(
            names=Names("000000000000", "us-east-1"),
            limits=LIFTED,
            database=self.database,
            committer=committer,
            clock=self.clock,
            engines={"process": self.engine, "other": self.other},
            offers={name: Offer(cpu_milli=4000, memory_mib=65536) for name in ("process", "other")},
            attempt_environment=lambda attempt_id: {"AWS_REGION": "us-east-1", "TOKEN": attempt_id},
            ledger=StoreLedger(self.feed, Replies(self.database, committer, self.clock)),
            keep_s=60,
        )
        await self.runtime.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runtime.close(stop_jobs=False)
        await self.database.close()

    async def change(self, operation: str, **params: Any) -> None:
        await self.runtime.change(Change(operation=operation, params=params, new_id="new"))

    async def state(self, job_id: str) -> State | None:
        await self.runtime.loop.ask(CancelJob(job_id="", reason=""))
        row = await store.job(self.database, job_id)
        return None if row is None else row.state


def living(
    new_store: NewStore,
    story: Callable[[House], Awaitable[None]],
    clock: Clock | None = None,
    **engine: bool,
) -> FakeEngine:
    """Tell a story within one life of a server."""
    fake = FakeEngine(**engine)

    async def live() -> None:
        async with asyncio.timeout(60), House(new_store(), fake, clock or RealClock()) as house:
            await story(house)

    asyncio.run(live())
    return fake
