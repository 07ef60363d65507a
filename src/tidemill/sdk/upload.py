"""Putting a job's result into S3 from a freshly forked process, at the least cost.

A forked child pays for every page of memory that it touches, and a full boto3 call touches
thousands. So where the endpoint is plain HTTP (a Tidemill server on this machine or network), a
child signs one PUT by botocore's own signer and sends it itself. Anything but success, and any
other endpoint, goes the ordinary way, with boto3's retries.
"""

from __future__ import annotations

import socket
from typing import Any, Final
from urllib.parse import urlsplit

from tidemill.sdk import bucket
from tidemill.sdk.client import Connection

_ANSWER_S: Final = 30.0
_SMALL_BYTES: Final = 1 << 20
_SUCCESS: Final = b"HTTP/1.1 200 "


class Sender:
    """Sends objects into one bucket; made, and kept fresh, before the fork."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Learns from boto3 how the bucket is addressed and who signs."""
        self._connection = connection
        self._bucket = name
        s3 = connection.client("s3")
        url = urlsplit(
            s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "key"})
        )
        self._base = f"{url.scheme}://{url.netloc}{url.path.removesuffix('key')}"
        self._path = url.path.removesuffix("key")
        self._address = (url.hostname or "", url.port or 80)
        self._host = url.netloc
        self._is_plain = url.scheme == "http"
        self._region = s3.meta.region_name
        self._signer: Any = None
        self.refresh()

    def refresh(self) -> None:
        """Have credentials at hand that last; asks for new ones only when they run out."""
        from botocore.auth import S3SigV4Auth

        credentials = self._connection.session.get_credentials()
        if credentials is None or not self._is_plain:
            self._signer = None
            return
        frozen = credentials.get_frozen_credentials()
        if self._signer is None or self._signer.credentials != frozen:
            self._signer = S3SigV4Auth(frozen, "s3", self._region)
            self._signed("warm", b"")

    def put(self, key: str, body: bytes) -> None:
        """Write one object. `key` is of letters that a URL holds as they are."""
        if self._signer is not None and len(body) <= _SMALL_BYTES and self._is_put(key, body):
            return
        bucket.put(self._connection, f"s3://{self._bucket}/{key}", body)

    def _is_put(self, key: str, body: bytes) -> bool:
        try:
            with socket.create_connection(self._address, _ANSWER_S) as peer:
                peer.sendall(self._signed(key, body) + body)
                return peer.recv(4096).startswith(_SUCCESS)
        except OSError:
            return False

    def _signed(self, key: str, body: bytes) -> bytes:
        from botocore.awsrequest import AWSRequest

        headers = {"Content-Length": str(len(body))}
        request = AWSRequest("PUT", self._base + key, headers=headers, data=body)
        self._signer.add_auth(request)
        lines = [f"PUT {self._path}{key} HTTP/1.1", f"Host: {self._host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
