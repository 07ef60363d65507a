"""The runtime when its store can't be read for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fake_engine import FakeEngine

from tidemill.platform.clock import VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.limit import LIFTED
from tidemill.platform.sqlite import SqliteStore
from tidemill.platform.store import Row, StoreError
from tidemill.services.batch.command import SubmitJob
from tidemill.services.batch.environment import Offer
from tidemill.services.batch.name import Names
from tidemill.services.batch.request import Request
from tidemill.services.batch.run import MIGRATIONS, Runtime
from tidemill.services.batch.store import SQL

BODY = b'{"container": {"command": ["true"], "image": "x", "environment": []}}'
JOB = SubmitJob(
    job_id="a",
    name="work",
    queue="default",
    definition_name="work",
    definition_arn="arn:aws:batch:us-east-1:000000000000:job-definition/work:1",
    request=Request(1000, 512),
    body=BODY,
)


class Flaky(SqliteStore):
    """Refuses to read the bodies of jobs while `is_down`."""

    is_down = False

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        if self.is_down and sql == SQL["select_bodies"]:
            raise StoreError("The database does not answer.")
        return await super().fetch(sql, params)


@asynccontextmanager
async def living(
    folder: Path, clock: VirtualClock, *, is_down: bool = False
) -> AsyncIterator[tuple[Flaky, Runtime, FakeEngine]]:
    """One life of a server's Batch, on its folder."""
    database, engine = Flaky(folder / "tidemill.db"), FakeEngine()
    await database.open(MIGRATIONS)
    database.is_down = is_down
    runtime = Runtime(
        names=Names("000000000000", "us-east-1"),
        limits=LIFTED,
        database=database,
        committer=Committer(database),
        clock=clock,
        engines={"process": engine},
        offers={"process": Offer(cpu_milli=4000, memory_mib=65536)},
        attempt_environment=lambda _: {},
    )
    async with asyncio.timeout(30):
        await runtime.open()
        yield database, runtime, engine
        await runtime.close(stop_jobs=False)
        await database.close()


def test_jobs_start_once_the_store_can_be_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def submit() -> None:
        async with living(tmp_path, VirtualClock()) as (_, started, engine):
            await started.submit(JOB)
            await engine.until(lambda: engine.started)

    async def come_back() -> None:
        clock = VirtualClock()
        async with living(tmp_path, clock, is_down=True) as (database, _, engine):
            for tries in (1, 2):
                while len(caplog.records) < tries:
                    await asyncio.sleep(0)
                assert not engine.started
                database.is_down = tries == 1
                clock.advance(1_000)
            await engine.until(lambda: "a/1" in engine.started)

    asyncio.run(submit())
    asyncio.run(come_back())
    assert "Jobs wait to be started" in caplog.text
