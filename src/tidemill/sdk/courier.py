"""A small process that writes the results of forked jobs into S3, over connections it keeps.

A forked child pays for every page of memory that it touches, and an S3 client touches thousands:
a put by boto3 would cost a child twice its whole life. So a child hands its result to the
courier, and ends once the courier has seen it written. What the courier can't write, the child
writes itself, by boto3.

A message is `key LF body`, with one end of a socket pair for the answer: one byte if the object
is written, the end of the stream if not.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tidemill.sdk import bucket, client
from tidemill.sdk.client import Connection
from tidemill.sdk.signature import signed_headers

if TYPE_CHECKING:
    import http.client
    from urllib.parse import SplitResult

MESSAGE_BYTES_MAX: Final = 100_000  # a packet must fit into a socket's buffer
_ANSWER_S: Final = 30.0
_WRITTEN: Final = b"."
_THREADS: Final = 4
_LOOK_S: Final = 1.0
_HASTE_S: Final = 3.0
_is_plain: Final = re.compile(r"[A-Za-z0-9._~/-]+").fullmatch


class Courier:
    """The way to the courier of one bucket, from the process that forks and from its children."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Starts that of the bucket `name`; in a process with one thread, no open connections."""
        s3 = connection.client("s3")
        params = {"Bucket": name, "Key": "key"}
        from urllib.parse import urlsplit

        url = urlsplit(s3.generate_presigned_url("put_object", Params=params))
        self.credentials = _frozen(connection)
        self._looked_s = time.monotonic()
        self._sending, receiving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sending.settimeout(_ANSWER_S)
        with receiving:
            if os.fork() == 0:
                _serve(receiving, url, str(s3.meta.region_name), self.credentials)

    @property
    def is_due_for_a_look(self) -> bool:
        """Whether it is time to ask `is_good_for` again: a look costs more than a job should."""
        return time.monotonic() > self._looked_s + _LOOK_S

    def is_good_for(self, connection: Connection) -> bool:
        """Whether it lives, with credentials that last; new ones are asked for when it is time."""
        self._looked_s = time.monotonic()
        poll = select.poll()
        poll.register(self._sending, 0)
        return not poll.poll(0) and _frozen(connection) == self.credentials

    def close(self) -> None:
        """It ends when the last child that may still need it has ended."""
        self._sending.close()

    def put(self, key: str, body: bytes) -> bool:
        """Whether the object is written now; `key` is of letters that a URL holds as they are."""
        message = key.encode("ascii") + b"\n" + body
        if len(message) > MESSAGE_BYTES_MAX:
            return False
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs:
                    socket.send_fds(self._sending, [message], [theirs.fileno()])
                ours.settimeout(_ANSWER_S)
                return ours.recv(1) == _WRITTEN
            except OSError:
                return False


couriers: Final[dict[str, Courier]] = {}
"""Those that this process, or the one that it was forked from, has started; by bucket."""


def put(url: str, body: bytes) -> None:
    """Write one of the library's objects in a job: by courier where there is one, or by boto3."""
    name, key = bucket.split(url)
    courier = couriers.get(name)
    if courier is None or not courier.put(key, body):
        bucket.put(client.current(), url, body)


def put_once(url: str, body: bytes) -> bool:
    """Write an object that is not worth waiting for: tried once, and whether it was written."""
    name, key = bucket.split(url)
    try:
        if carry(url, body):
            return True
        _hasty(client.current()).put_object(Bucket=name, Key=key, Body=body)
    except Exception:  # noqa: BLE001 - a network and its credentials may fail in any way
        return False
    return True


def carry(url: str, body: bytes) -> bool:
    """Write one object of any key by courier: whether there is one that could."""
    name, key = bucket.split(url)
    courier = couriers.get(name)
    return courier is not None and bool(_is_plain(key)) and courier.put(key, body)


@lru_cache(maxsize=4)
def _hasty(connection: Connection) -> Any:
    """A client of S3 that gives up soon."""
    from botocore.config import Config

    s3 = connection.client("s3")
    hasty = Config(
        retries={"total_max_attempts": 1}, connect_timeout=_HASTE_S, read_timeout=_HASTE_S
    )
    config = s3.meta.config.merge(hasty)
    return connection.session.client("s3", endpoint_url=s3.meta.endpoint_url, config=config)


def _frozen(connection: Connection) -> Any:
    return connection.session.get_credentials().get_frozen_credentials()


def _serve(receiving: socket.socket, url: SplitResult, region: str, credentials: Any) -> NoReturn:
    """The courier's own life, in the forked process."""
    try:
        _let_go_of_all_but(receiving.fileno())
        arguments = (receiving, url, region, credentials)
        for _ in range(_THREADS - 1):
            threading.Thread(target=_carry, args=arguments, daemon=True).start()
        _carry(*arguments)
    finally:
        os._exit(0)


def _let_go_of_all_but(kept: int) -> None:
    """Close what was inherited: jobs' output pipes above all, whose readers wait for their end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    inherited = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    for descriptor in inherited:
        if descriptor > 2 and descriptor != kept:
            with contextlib.suppress(OSError):  # the listing's own, closed by now
                os.close(descriptor)


def _carry(receiving: socket.socket, url: SplitResult, region: str, credentials: Any) -> None:
    """Write one object after another until nobody is left who could send any."""
    import http.client

    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    peer = kind(url.hostname or "", url.port, timeout=_ANSWER_S)
    path = url.path.removesuffix("key")
    while True:
        message, descriptors, _, _ = socket.recv_fds(receiving, MESSAGE_BYTES_MAX, 1)
        if not message:
            return
        # Whatever happens the child must hear the end, or it would wait for an answer in vain.
        with contextlib.ExitStack() as answered:
            for descriptor in descriptors:
                answered.callback(os.close, descriptor)
            key, _, body = message.partition(b"\n")
            target = path + key.decode("ascii")
            headers = signed_headers(credentials, region, url.netloc, target, body, time.time())
            if descriptors and _is_written(peer, target, body, headers):
                with contextlib.suppress(OSError):  # the child was killed meanwhile
                    os.write(descriptors[0], _WRITTEN)


def _is_written(
    peer: http.client.HTTPConnection, target: str, body: bytes, headers: dict[str, str]
) -> bool:
    import http.client

    for _ in range(2):  # a kept connection may have been closed meanwhile
        try:
            peer.request("PUT", target, body, headers)
            answer = peer.getresponse()
            answer.read()
            return answer.status == http.client.OK
        except (OSError, http.client.HTTPException):
            peer.close()
    return False
