"""HTTP by raw sockets: requests as bytes, pipelined, sent whatever they hold; answers as they come.

No HTTP library would send what a broken or hostile client sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ANSWER_S = 20.0
PIPELINED = 24


@dataclass(frozen=True, slots=True)
class Sent:
    """A request in bytes, and what it is for the message of a failed test."""

    data: bytes
    told: str
    method: str = "POST"
    may_pass: bool = False
    """Whether an answer of success is right too: it only reads, and may not be broken after all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body; status 0 for a connection that was closed instead."""

    status: int
    body: bytes = b""


class Talk:
    """One connection, opened again whenever the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_all(self, requests: Sequence[Sent]) -> list[Answer]:
        """Their answers, in order; many are sent before the first is answered.

        Where the server closes the connection, those behind the one that it closed it on go over
        a new one.
        """
        answers: list[Answer] = []
        while len(answers) < len(requests):
            todo = requests[len(answers) : len(answers) + PIPELINED]
            answers += await self._ask_some(todo)
        return answers

    async def ask_alone(self, data: bytes, *, ends: bool = False) -> Answer:
        """The answer on a connection of its own, closed for writing after `data` with `ends`."""
        await self.close()
        reader, writer = await self._connected()
        try:
            writer.write(data)
            if ends:
                writer.write_eof()
            return await asyncio.wait_for(_read(reader, "GET"), ANSWER_S)
        except (OSError, asyncio.IncompleteReadError):
            return Answer(0)
        finally:
            await self.close()

    async def _ask_some(self, requests: Iterable[Sent]) -> list[Answer]:
        reader, writer = await self._connected()
        todo = list(requests)
        answers: list[Answer] = []
        try:
            writer.write(b"".join(each.data for each in todo))
            for each in todo:
                answers.append(await asyncio.wait_for(_read(reader, each.method), ANSWER_S))
        except (OSError, asyncio.IncompleteReadError):
            await self.close()
            if not answers:
                answers.append(Answer(0))
        return answers

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        return self._streams

    async def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader, method: str) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = int(lines[0].split(b" ", 2)[1])
    if status == 100:
        return await _read(reader, method)
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if method == "HEAD" or status in (204, 304):
        return Answer(status)
    return Answer(status, await reader.readexactly(length))


def as_bytes(
    method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> bytes:
    """A request with the length that its body has, unless `headers` say another."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"host: 127.0.0.1"]
    named = {name.lower() for name, _ in headers}
    lines += [name + b": " + value for name, value in headers]
    if not {b"content-length", b"transfer-encoding"} & named:
        lines.append(b"content-length: " + str(len(body)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
