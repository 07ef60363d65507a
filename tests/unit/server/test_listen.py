"""Connections whose other side dawdles, goes away, or is one too many."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tidemill.platform.body import FileRange
from tidemill.server import http, listen
from tidemill.server.http import Application, Send
from tidemill.server.spool import Receive, Spool
from tidemill.wire.request import HttpResponse

BRIEF_S = 0.2
LARGE = 64 * 1024 * 1024
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


def run(main: Coroutine[Any, Any, None]) -> None:
    """On the loop that the server has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


class Files:
    """Answers every request with one file, and can be asked how it went."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent = 0
        self.done = asyncio.Event()

    async def answer(self, *_: Any) -> HttpResponse:
        return HttpResponse(200, [], FileRange(self.path, 0, LARGE))


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[Connect]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = listen.Listener(application, [bound])
        await listener.open()
        opened: list[asyncio.StreamWriter] = []

        async def connect() -> Streams:
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            opened.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(20):
                yield connect
        finally:
            for writer in opened:
                writer.close()
            await listener.close()


def told_of_files(files: Files, spool: Spool) -> Any:
    """The application over `files`, counting what it sends."""
    application = Application(files, spool)  # type: ignore[arg-type]

    async def call(scope: Any, receive: Receive, send: Send) -> None:
        async def count(message: Any) -> None:
            await send(message)
            files.sent += len(message.get("body", b""))

        await application(scope, receive, count)
        files.done.set()

    return call


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", lambda: None)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


@pytest.mark.parametrize("sent", [b"GET / HT", POST[:-2], POST, POST + b"half"])
def test_a_request_that_is_never_whole_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch, spool: Spool, large: Path, sent: bytes
) -> None:
    monkeypatch.setattr(listen, "KEEP_ALIVE_S", BRIEF_S)

    async def main() -> None:
        files = Files(large)
        async with served(told_of_files(files, spool)) as connect:
            reader, writer = await connect()
            writer.write(sent)
            assert await reader.read() == b""
            if b"\r\n\r\n" in sent:
                await files.done.wait()  # nothing waits for the rest

    run(main())


def test_a_head_that_comes_letter_by_letter_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, spool: Spool, large: Path
) -> None:
    monkeypatch.setattr(listen, "KEEP_ALIVE_S", BRIEF_S)

    async def main() -> None:
        async with served(told_of_files(Files(large), spool)) as connect:
            reader, writer = await connect()
            end = asyncio.ensure_future(reader.read())
            writer.write(b"GET / HTTP/1.1\r\nhost: x")
            while not end.done():
                writer.write(b"x")
                await asyncio.wait([end], timeout=BRIEF_S / 4)
            assert isinstance(end.exception(), ConnectionError) or end.result() == b""

    run(main())


def test_a_file_is_read_no_further_once_nobody_takes_it(
    monkeypatch: pytest.MonkeyPatch, spool: Spool, large: Path
) -> None:
    """Whoever hangs up ends it at once; who only stops reading, a while after."""

    async def main() -> None:
        for hangs_up in (True, False):
            monkeypatch.setattr(listen, "KEEP_ALIVE_S", 75 if hangs_up else BRIEF_S)
            files = Files(large)
            async with served(told_of_files(files, spool)) as connect:
                reader, writer = await connect()
                writer.write(GET)
                await reader.readexactly(1000)
                if hangs_up:
                    writer.transport.abort()
                await files.done.wait()
                assert files.sent < LARGE / 2

    run(main())


def test_a_slow_reader_gets_the_whole_file(
    monkeypatch: pytest.MonkeyPatch, spool: Spool, large: Path
) -> None:
    monkeypatch.setattr(listen, "KEEP_ALIVE_S", 5 * BRIEF_S)  # a busy machine pauses too
    monkeypatch.setattr(http, "SEND_CHUNK_BYTES", LARGE)

    async def main() -> None:
        async with served(told_of_files(Files(large), spool)) as connect:
            reader, writer = await connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            left = LARGE
            while left:
                left -= len(await reader.read(256 * 1024))
                await asyncio.sleep(BRIEF_S / 40)  # all in all longer than a pause may be

    run(main())


def test_one_connection_too_many_is_turned_away(
    monkeypatch: pytest.MonkeyPatch, spool: Spool, large: Path
) -> None:
    monkeypatch.setattr(listen, "connections_max", lambda: 2)

    async def main() -> None:
        async with served(told_of_files(Files(large), spool)) as connect:
            kept = [await connect(), await connect()]
            for _, writer in kept:
                writer.write(GET)
            for reader, _ in kept:
                assert await reader.readexactly(12) == b"HTTP/1.1 200"
            reader, _ = await connect()
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            kept[0][1].transport.abort()
            while True:
                reader, writer = await connect()
                writer.write(GET)
                if await reader.readexactly(12) == b"HTTP/1.1 200":
                    break

    run(main())
