"""The listening side of HTTP: uvicorn's protocol on a socket that is bound before all else.

uvicorn's own `Server` ticks ten times a second and takes the process's signals; an idle server
of ours sleeps, so only the protocol is used here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidemill.server.address import BACKLOG

KEEP_ALIVE_S = 75
SHUTDOWN_S = 5.0
HEAD_BYTES_MAX = 256 * 1024
"""A request's line and headers; one chunk more may be read. AWS's own bounds are far below."""
HTTP_VERSIONS = ("1.1", "1.0")

_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with bounds for a request's head: how large it is, how long it takes."""

    _is_in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """From the parser."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """From the parser, which turns an error into a refusal."""
        if self.parser.get_http_version() not in HTTP_VERSIONS:
            raise ValueError("a request without a version is taken for one of HTTP/0.9")
        super().on_headers_complete()
        self._is_in_head = False

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        super().data_received(data)
        if self._is_in_head:
            self._bound_head(len(data))

    def _bound_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                KEEP_ALIVE_S, self.timeout_keep_alive_handler
            )


class Listener:
    """Serves an ASGI application on bound sockets."""

    def __init__(self, application: Any, bound: Sequence[socket.socket]) -> None:
        self._bound = bound
        self._config = Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Begin to accept connections."""
        self._config.load()
        for each in self._bound:
            server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._config, self._state, {}), sock=each, backlog=BACKLOG
            )
            self._servers.append(server)

    async def close(self) -> None:
        """Accept no more, let requests under way finish, at most `SHUTDOWN_S`."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = list(self._state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_S)
