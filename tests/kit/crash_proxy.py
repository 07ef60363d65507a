"""A proxy between boto3 and the server that can keep the server's replies to itself."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator

CONNECT_S = 30.0
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Proxy:
    """Passes whole requests on, and whole replies back until `cut`.

    From then on a client's connection is closed once the server has replied or died; `forwarded`
    counts the requests that reached the server, and `swallowed` the replies that got no further.
    """

    def __init__(self, port: int) -> None:
        self.is_cutting = False
        self.forwarded = threading.Semaphore(0)
        self.swallowed = threading.Semaphore(0)
        self._server = ("127.0.0.1", port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def cut(self) -> None:
        """Pass no reply back from now on; count anew."""
        self.forwarded = threading.Semaphore(0)
        self.swallowed = threading.Semaphore(0)
        self.is_cutting = True

    def mend(self) -> None:
        """Pass all on again."""
        self.is_cutting = False

    def run(self) -> None:
        """Accept until `close`."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Accept nothing more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while request := _read(client):
                # The server may be down just now, and is waited for; its port is its own.
                with _connect(self._server) as server:
                    cuts = self.is_cutting
                    server.sendall(request)
                    if cuts:
                        self.forwarded.release()
                    reply = _read(server)
                if cuts and reply:
                    self.swallowed.release()
                if cuts or not reply:
                    return
                client.sendall(reply)


@contextlib.contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    """A running proxy to the server on `port`."""
    made = Proxy(port)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def _read(connection: socket.socket) -> bytes:
    """One whole message; empty when the other side has gone."""
    data = b""
    while True:
        head, blank, body = data.partition(b"\r\n\r\n")
        if blank and len(body) >= _length(head):
            return data
        try:
            part = connection.recv(65536)
        except ConnectionError:
            return b""
        if not part:
            return b""
        data += part


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


def _connect(address: tuple[str, int]) -> socket.socket:
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            return socket.create_connection(address)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # polls
