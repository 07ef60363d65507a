"""How a request's body comes in: into memory when it is small, into a file when it is not."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from tidemill.platform.body import SPOOL_ABOVE_BYTES, SpooledBody

BATCH_BYTES: Final = 1024 * 1024
"""What is hashed and written at a time; one more such batch comes in meanwhile."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The client went away before its request was whole; nothing is done for it."""


class Spool:
    """A folder on the data folder's file system where large bodies wait to be taken over."""

    def __init__(self, folder: Path, check_room: Callable[[], None]) -> None:
        """`check_room` raises while nothing more may be written; it is asked as a body grows."""
        self._folder = folder
        self._check_room = check_room
        self._numbers = itertools.count()

    def open(self) -> None:
        """Make the folder; what an earlier server left in it is half a request, and goes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink()

    async def read(
        self, receive: Receive, admit: Callable[[], None]
    ) -> tuple[bytes | SpooledBody, str | None]:
        """The whole body; beside a spooled one the hex SHA-256 of what came over the wire.

        `admit` is asked before the first byte goes to disk, and raises to refuse the request.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            part, more = await _next_part(receive)
            if part:
                parts.append(part)
                size += len(part)
            if not more:
                return (parts[0] if len(parts) == 1 else b"".join(parts)), None
            if size > SPOOL_ABOVE_BYTES:
                admit()
                return await self._spool(parts, receive)

    async def _spool(self, parts: list[bytes], receive: Receive) -> tuple[SpooledBody, str]:
        path = self._folder / f"{next(self._numbers)}"
        try:
            with path.open("wb", buffering=0) as file:
                sink = _Sink(file)
                try:
                    await _pour(parts, receive, sink, self._check_room)
                finally:
                    await sink.rest()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return SpooledBody(path, sink.size), sink.sha256.hexdigest()


class _Sink:
    """Hashes and writes batches in a thread, one after the other."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._file = file
        self._work: asyncio.Future[None] | None = None

    async def take(self, parts: Sequence[bytes]) -> None:
        """Begin with a batch, once the one before it is done. Raises what that one has raised."""
        await self.finish()
        self._work = asyncio.get_running_loop().run_in_executor(None, self._write, parts)

    async def finish(self) -> None:
        """Return when all is written. Raises what the last batch has raised."""
        if self._work is not None:
            await asyncio.shield(self._work)

    async def rest(self) -> None:
        """Return when no thread uses the file any more, however this task is cancelled."""
        while self._work is not None and not self._work.done():
            try:
                await asyncio.wait([self._work])
            except asyncio.CancelledError:
                continue

    def _write(self, parts: Sequence[bytes]) -> None:
        data = memoryview(b"".join(parts))
        self.sha256.update(data)
        self.size += len(data)
        while data:
            data = data[self._file.write(data) :]


async def _pour(
    parts: list[bytes], receive: Receive, sink: _Sink, check_room: Callable[[], None]
) -> None:
    """Give `parts` and all that comes after them to `sink`."""
    gathered = sum(map(len, parts))
    more = True
    while more:
        part, more = await _next_part(receive)
        parts.append(part)
        gathered += len(part)
        if gathered >= BATCH_BYTES or not more:
            check_room()
            await sink.take(parts)
            parts, gathered = [], 0
    await sink.finish()


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    """The next piece of the body, and whether more follow."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)
