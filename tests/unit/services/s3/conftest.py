"""A whole S3 service over a store and blobs in a temporary folder, called without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tidemill.platform.body import FileRange
from tidemill.platform.clock import VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.limit import AWS, LIFTED, Limits
from tidemill.platform.service import Caller
from tidemill.platform.sqlite import SqliteStore
from tidemill.services.s3.service import MIGRATIONS, S3Service

T = TypeVar("T")
ACCOUNT = "000000000000"


class Bench:
    """Calls operations by AWS's names; `restart` is what a new server process would see."""

    def __init__(self, folder: Path, limits: Limits = AWS, region: str = "us-east-1") -> None:
        self.folder = folder
        self.limits = limits
        self.region = region
        self.clock = VirtualClock()
        self.runner = asyncio.Runner()
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> None:
        self.store = SqliteStore(self.folder / "db")
        await self.store.open(MIGRATIONS)
        self.service = S3Service(
            self.store,
            Committer(self.store),
            self.folder / "blobs",
            self.clock,
            self.limits,
            ACCOUNT,
            self.region,
        )
        await self.service.open()

    async def _close(self) -> None:
        await self.service.close()
        await self.store.close()

    def restart(self) -> None:
        self.run(self._close())
        self.run(self._open())

    def close(self) -> None:
        self.run(self._close())
        self.runner.close()

    async def ask(self, operation: str, *, retry_key: str | None = None, **params: Any) -> Any:
        caller = Caller(account=ACCOUNT, region=self.region, access_key="AKIA", retry_key=retry_key)
        return await self.service.call(operation, params, caller)

    def call(self, operation: str, **params: Any) -> Any:
        return self.run(self.ask(operation, **params))

    def refused(self, operation: str, **params: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.call(operation, **params)
        return caught.value

    def put(self, key: str, body: bytes = b"", **params: Any) -> Any:
        return self.call("PutObject", Bucket="bucket", Key=key, Body=body, **params)

    def get(self, key: str, **params: Any) -> bytes:
        return payload(self.call("GetObject", Bucket="bucket", Key=key, **params)["Body"])

    def keys(self, **params: Any) -> list[str]:
        answer = self.call("ListObjectsV2", Bucket="bucket", **params)
        return [entry["Key"] for entry in answer.get("Contents", ())]

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "blobs").rglob("*") if path.is_file()]

    def tidy(self) -> None:
        while self.run(self.service.tidy(limit=3)):
            pass


def payload(body: bytes | FileRange) -> bytes:
    if isinstance(body, bytes):
        return body
    content = body.path.read_bytes()[body.offset : body.offset + body.length]
    assert len(content) == body.length
    return content


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.call("CreateBucket", Bucket="bucket")
    yield bench
    bench.close()


@pytest.fixture
def lifted(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, LIFTED)
    bench.call("CreateBucket", Bucket="bucket")
    yield bench
    bench.close()
