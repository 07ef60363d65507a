"""The listening side of HTTP: uvicorn's protocol on a socket that is bound before all else.

uvicorn's own `Server` ticks ten times a second and takes the process's signals; an idle server
of ours sleeps, so only the protocol is used here.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidemill.server.address import BACKLOG

KEEP_ALIVE_S = 75
"""How long a connection may be idle, a head take, a body pause, and an answer be left unread."""
SHUTDOWN_S = 5.0
CONNECTIONS_SHARE = 0.75
"""Of the files that this process may open: the others are for what requests ask for."""
HEAD_BYTES_MAX = 256 * 1024
"""A request's line and headers; one chunk more may be read. AWS's own bounds are far below."""
HTTP_VERSIONS = ("1.1", "1.0")

_FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with bounds: how large a head is, how long the other side may dawdle."""

    _is_in_head = False
    _is_in_request = False
    _head_bytes = 0
    _head_since = 0.0
    _unread_bytes = 0
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """From asyncio."""
        super().connection_made(transport)
        if len(self.connections) > connections_max():
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """From asyncio."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._forget_unread()

    def on_message_begin(self) -> None:
        """From the parser."""
        super().on_message_begin()
        self._is_in_request = self._is_in_head = True
        self._head_bytes = 0
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """From the parser, which turns an error into a refusal."""
        if self.parser.get_http_version() not in HTTP_VERSIONS:
            raise ValueError("a request without a version is taken for one of HTTP/0.9")
        super().on_headers_complete()
        self._is_in_head = False

    def on_message_complete(self) -> None:
        """From the parser."""
        super().on_message_complete()
        self._is_in_request = False

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        super().data_received(data)
        if self._is_in_head:
            self._bound_head(len(data))
        elif self._is_in_request:
            self._expect_more(KEEP_ALIVE_S)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing has come, unless it was us who would not read."""
        if self._is_in_request and self.flow.read_paused:
            self.timeout_keep_alive_task = None
            self._expect_more(KEEP_ALIVE_S)
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """From asyncio: the other side does not read as fast as we write."""
        super().pause_writing()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._unread_timer = self.loop.call_later(KEEP_ALIVE_S, self._look_at_unread)

    def resume_writing(self) -> None:
        """From asyncio."""
        super().resume_writing()
        self._forget_unread()

    def _look_at_unread(self) -> None:
        """End a connection whose other side has read nothing since the last look."""
        unread_bytes = self.transport.get_write_buffer_size()
        if unread_bytes >= self._unread_bytes:
            self.transport.abort()
            return
        self._unread_bytes = unread_bytes
        self._unread_timer = self.loop.call_later(KEEP_ALIVE_S, self._look_at_unread)

    def _forget_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _expect_more(self, within_s: float) -> None:
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                within_s, self.timeout_keep_alive_handler
            )

    def _bound_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()
        else:
            self._expect_more(max(0.0, self._head_since + KEEP_ALIVE_S - self.loop.time()))


def connections_max() -> int:
    """How many connections there may be at once; one more is turned away."""
    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * CONNECTIONS_SHARE)


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
