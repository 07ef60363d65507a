"""Submissions sent by hand: what becomes of them where no server answers well."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tidemill.sdk import sender
from tidemill.sdk.sender import Sender

BUSY = b'HTTP/1.1 503 \r\ncontent-length: 18\r\n\r\n{"message":"full"}'


class Answering(threading.Thread):
    """Reads each request's head and body, and answers all alike; nothing closes the connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.asked: list[bytes] = []

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            with peer:
                while data := peer.recv(65536):
                    self.asked.append(data)
                    if not self._answer:
                        break
                    peer.sendall(self._answer)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All tries at once, and no proxy."""
    monkeypatch.setattr(sender, "_PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(sender.urllib.request, "getproxies", dict)
    yield


def sender_to(server: Answering) -> Sender:
    endpoint = f"http://127.0.0.1:{server.listening.getsockname()[1]}"
    session = boto3.session.Session("key", "secret", region_name="us-east-1")
    batch = SimpleNamespace(meta=SimpleNamespace(endpoint_url=endpoint))  # boto3 is never asked
    connection: Any = SimpleNamespace(
        client=lambda _: batch, region="us-east-1", session=session, is_aws=False
    )
    return Sender(connection)


@pytest.mark.parametrize("answer, error", [(b"", ConnectionClosedError), (BUSY, ClientError)])
def test_what_may_have_been_taken_is_not_submitted_anew(
    answer: bytes, error: type[Exception], impatient: None
) -> None:
    server = Answering(answer)
    server.start()
    with server.listening, pytest.raises(error) as raised:
        sender_to(server).submit_job({"jobName": "x"})
    heads = [request.decode("latin-1") for request in server.asked]
    ids = {line for head in heads for line in head.split("\r\n") if "invocation-id" in line}
    assert (len(heads), len(ids)) == (3, 1)
    if error is ClientError:
        assert "full" in str(raised.value)


@pytest.mark.parametrize("answer", [b"", BUSY])
def test_a_look_that_goes_wrong_is_left_to_boto3(answer: bytes, impatient: None) -> None:
    server = Answering(answer)
    server.start()
    found = {"jobs": [{"jobId": "x", "status": "RUNNING"}]}
    with server.listening:
        sending = sender_to(server)
        sending._batch.describe_jobs = lambda jobs: found if jobs == ["x"] else None
        assert sending.describe_jobs(["x"]) == found["jobs"]
    assert server.asked[0].startswith(b"POST /v1/describejobs HTTP/1.1\r\n")
