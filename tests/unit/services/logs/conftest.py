"""A whole Logs service over a log folder and a store, called without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tidemill.platform.clock import VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.log import stream_token
from tidemill.platform.log_reader import LogReader
from tidemill.platform.log_writer import LogStream, LogWriter
from tidemill.platform.service import Caller
from tidemill.platform.sqlite import SqliteStore
from tidemill.services.logs.service import MIGRATIONS, LogsService

T = TypeVar("T")
GROUP = "/aws/batch/job"
T0 = 1_720_000_000_000
DAY_MS = 86_400_000
KEEP_MS = 7 * DAY_MS


class Bench:
    """Writes output as a runner does, and calls operations by AWS's names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(T0)
        self.writer = LogWriter(folder / "logs")
        self.numbers = 0
        self.runner = asyncio.Runner()
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self) -> None:
        self.store = SqliteStore(self.folder / "db")
        await self.store.open(MIGRATIONS)
        self.service = LogsService(
            LogReader(self.folder / "logs"),
            self.store,
            Committer(self.store),
            self.clock,
            "000000000000",
            "us-east-1",
            KEEP_MS,
        )
        await self.service.open()

    async def _close(self) -> None:
        await self.service.close()
        await self.store.close()

    def restart(self) -> None:
        self.run(self._close())
        self.run(self._open())

    def close(self) -> None:
        self.writer.close()
        self.run(self._close())
        self.runner.close()

    def call(self, operation: str, **params: Any) -> Any:
        caller = Caller(account="000000000000", region="us-east-1", access_key="AKIA")
        return self.run(self.service.call(operation, params, caller))

    def refused(self, operation: str, **params: Any) -> Fault:
        with pytest.raises(Fault) as caught:
            self.call(operation, **params)
        return caught.value

    def name(self, at_ms: int = T0, definition: str = "render") -> str:
        self.numbers += 1
        return f"{definition}/default/{stream_token(at_ms, f'{self.numbers:024x}')}"

    def begin(self, stream: str, at_ms: int = T0, group: str = GROUP) -> LogStream:
        return self.writer.open(group, stream, at_ms)

    def write(self, *lines: tuple[int, str], group: str = GROUP, **named: Any) -> str:
        """A stream with lines at times after T0, from its opening to its end."""
        first_ms = T0 + (lines[0][0] if lines else 0)
        stream = self.name(first_ms, **named)
        log = self.begin(stream, first_ms, group)
        for offset_ms, line in lines:
            log.append(T0 + offset_ms, line.encode() + b"\n")
        log.close(T0 + (lines[-1][0] if lines else 0))
        self.writer.flush()
        return stream

    def get(self, stream: str, **params: Any) -> Any:
        return self.call("GetLogEvents", logGroupName=GROUP, logStreamName=stream, **params)

    def filter(self, **params: Any) -> list[str]:
        """All messages that a search finds, over all of its pages."""
        messages: list[str] = []
        ids: set[str] = set()
        token: dict[str, str] = {}
        while True:
            page = self.call("FilterLogEvents", logGroupName=GROUP, **params, **token)
            messages += [event["message"] for event in page["events"]]
            ids |= {event["eventId"] for event in page["events"]}
            if "nextToken" not in page:
                assert len(ids) == len(messages), "every event has an id of its own"
                return messages
            token = {"nextToken": page["nextToken"]}


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()
