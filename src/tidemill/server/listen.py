"""The listening side of HTTP: uvicorn's protocol on a socket that is bound before all else.

uvicorn's own `Server` ticks ten times a second and takes the process's signals; an idle server
of ours sleeps, so only the protocol is used here.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidemill.server.address import BACKLOG

KEEP_ALIVE_S = 75
SHUTDOWN_S = 5.0


class Listener:
    """Serves an ASGI application on a bound socket."""

    def __init__(self, application: Any, bound: socket.socket) -> None:
        self._bound = bound
        self._config = Config(
            application,
            http=HttpToolsProtocol,
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
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to accept connections."""
        self._config.load()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: HttpToolsProtocol(self._config, self._state, {}),
            sock=self._bound,
            backlog=BACKLOG,
        )

    async def close(self) -> None:
        """Accept no more, let requests under way finish, at most `SHUTDOWN_S`."""
        if self._server is None:
            self._bound.close()
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = list(self._state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_S)
