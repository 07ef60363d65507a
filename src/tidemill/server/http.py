"""The HTTP side: a raw ASGI application that hands whole requests to the gateway.

It knows bytes, headers and files; what a request means is the gateway's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tidemill.platform.body import FileRange, SpooledBody
from tidemill.platform.fault import Fault
from tidemill.server.gateway import Gateway
from tidemill.server.spool import Disconnected, Receive, Spool
from tidemill.wire.error import WireError
from tidemill.wire.request import HttpRequest, HttpResponse

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SEND_CHUNK_BYTES: Final = 256 * 1024
_HEADERS_ONLY: Final = frozenset({204, 304})


class Application:
    """The ASGI callable that uvicorn serves."""

    def __init__(self, gateway: Gateway, spool: Spool) -> None:
        self._gateway = gateway
        self._spool = spool

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of connection are refused by uvicorn's settings."""
        if scope["type"] != "http":
            return
        try:
            body, body_sha256 = await self._spool.read(
                receive, lambda: self._gateway.admit(_request(scope, b""))
            )
        except Disconnected:
            return
        except (WireError, Fault, OSError) as error:
            head = _request(scope, b"")
            await _send(self._gateway.refuse(head, error), head.method, receive, send)
            return
        request = _request(scope, body)
        try:
            response = await self._gateway.answer(request, body_sha256)
            await _send(response, request.method, receive, send)
        finally:
            if isinstance(body, SpooledBody):
                body.discard()


def _request(scope: MutableMapping[str, Any], body: bytes | SpooledBody) -> HttpRequest:
    return HttpRequest(
        method=scope["method"],
        raw_path=scope["raw_path"],
        query=scope["query_string"],
        headers=scope["headers"],
        body=body,
    )


async def _send(response: HttpResponse, method: str, receive: Receive, send: Send) -> None:
    headers = response.headers
    body = response.body
    length = body.length if isinstance(body, FileRange) else len(body)
    if response.status not in _HEADERS_ONLY and not _has_length(headers):
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if method == "HEAD" or response.status in _HEADERS_ONLY:
        await send({"type": "http.response.body", "body": b""})
    elif isinstance(body, FileRange):
        await _send_file(body, receive, send)
    else:
        await send({"type": "http.response.body", "body": body})


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" for name, _ in headers)


async def _send_file(body: FileRange, receive: Receive, send: Send) -> None:
    """Send a part of a file, for as long as somebody is there to take it."""
    loop = asyncio.get_running_loop()
    end = asyncio.ensure_future(receive())  # the request is whole: what comes next is its end
    try:
        with body.path.open("rb") as file:
            file.seek(body.offset)
            left = body.length
            while left and not end.done():
                chunk = await loop.run_in_executor(None, file.read, min(left, SEND_CHUNK_BYTES))
                if not chunk:
                    raise OSError(f"{body.path} is {left} bytes shorter than its index says")
                left -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
            if not body.length:
                await send({"type": "http.response.body", "body": b""})
    finally:
        end.cancel()
