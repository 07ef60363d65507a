"""How a request's body comes in: into memory when it is small, into a file when it is not."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from tidemill.platform.body import SPOOL_ABOVE_BYTES, SpooledBody

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The client went away before its request was whole; nothing is done for it."""


class Spool:
    """A folder on the data folder's file system where large bodies wait to be taken over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def open(self) -> None:
        """Make the folder; what an earlier server left in it is half a request, and goes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink()

    async def read(self, receive: Receive) -> tuple[bytes | SpooledBody, str | None]:
        """The whole body; beside a spooled one the hex SHA-256 of what came over the wire."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            if part:
                parts.append(part)
                size += len(part)
            if not message.get("more_body"):
                return (parts[0] if len(parts) == 1 else b"".join(parts)), None
            if size > SPOOL_ABOVE_BYTES:
                return await self._spool(parts, receive)

    async def _spool(self, parts: list[bytes], receive: Receive) -> tuple[SpooledBody, str]:
        path = self._folder / f"{next(self._numbers)}"
        digest = hashlib.sha256()
        size = 0
        try:
            with path.open("wb") as file:
                for part in parts:
                    digest.update(part)
                    size += file.write(part)
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    part = message.get("body", b"")
                    digest.update(part)
                    size += file.write(part)
                    more = message.get("more_body", False)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return SpooledBody(path, size), digest.hexdigest()
