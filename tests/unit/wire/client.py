"""What boto3 really sends: a client whose requests are caught instead of going anywhere."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.parsers import ResponseParserError

from tidemill.wire.request import HttpRequest

ACCESS_KEY = "AKIATIDEMILLTEST"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+tide"
REGION = "eu-central-1"


class _Raw:
    """An empty answer."""

    def stream(self) -> list[bytes]:
        return [b""]

    def read(self, *_: Any) -> bytes:
        return b""


def whole(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes | bytearray) else body.read()


def caught(
    service: str,
    operation: str,
    endpoint: str = "http://127.0.0.1:5057",
    token: str | None = None,
    config: Config | None = None,
    region: str = REGION,
    **params: Any,
) -> HttpRequest:
    """The request that boto3 sends for a call."""
    client = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=token,
        config=config,
    )
    sent = []

    def catch(request: Any, **_: Any) -> AWSResponse:
        sent.append(received(request.method, request.url, request.headers, whole(request.body)))
        return AWSResponse(request.url, 200, {}, _Raw())

    client.meta.events.register("before-send", catch)
    # An empty answer is no answer to every operation; what was sent is all that counts.
    with contextlib.suppress(ResponseParserError, KeyError):
        getattr(client, operation)(**params)
    return sent[0]


def received(method: str, url: str, headers: Any, body: bytes = b"") -> HttpRequest:
    """The request as a server receives it."""
    parts = urlsplit(url)
    pairs = [
        (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
        for name, value in headers.items()
    ]
    if not any(name == b"host" for name, _ in pairs):
        pairs.append((b"host", parts.netloc.encode()))
    return HttpRequest(
        method, parts.path.encode() or b"/", parts.query.encode(), pairs, bytes(body)
    )
