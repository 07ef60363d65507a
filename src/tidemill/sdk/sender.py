"""SubmitJob and DescribeJobs at little cost, to a server of ours: a web request should not wait.

boto3 takes several times as long over a call as the server does. So to a plain HTTP endpoint these
two are sent by themselves, over a connection that each thread keeps; to AWS, over TLS and through
proxies boto3 sends them. A refusal is boto3's to tell: it makes the call again, and raises.

A submission whose reply was lost is sent again under the same invocation id and the number of the
try, as boto3 does, by which the server knows it: it submits once.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tidemill.sdk import client
from tidemill.sdk.signature import signed_headers

if TYPE_CHECKING:
    from tidemill.sdk.client import Connection

_SUBMIT: Final = "/v1/submitjob"
_DESCRIBE: Final = "/v1/describejobs"
_TIMEOUT_S: Final = 60.0
_PAUSES_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 0.0)
"""After each try."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})


class Sender:
    """Sends SubmitJob and DescribeJobs over one `Connection`, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._batch = connection.client("batch")
        endpoint = urlsplit(self._batch.meta.endpoint_url)
        self._host = endpoint.netloc
        self._name, self._port = endpoint.hostname or "", endpoint.port or 80
        self._region = connection.region
        self._session = connection.session
        self._kept = threading.local()
        self._is_direct = (
            not connection.is_aws
            and endpoint.scheme == "http"
            and endpoint.path in ("", "/")
            and not urllib.request.getproxies()
        )

    def submit_job(self, request: dict[str, Any]) -> str:
        """The id of the job; raises what boto3's `submit_job` raises."""
        answer = self._send(request) if self._is_direct else None
        return str((answer or self._batch.submit_job(**request))["jobId"])

    def describe_jobs(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The jobs' details, up to a hundred; raises what boto3's `describe_jobs` raises."""
        answer = self._ask({"jobs": [*job_ids]}) if self._is_direct else None
        found: list[dict[str, Any]] = (answer or self._batch.describe_jobs(jobs=job_ids))["jobs"]
        return found

    def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of DescribeJobs, or None where boto3 is to ask."""
        patience_s = client.patience_s()
        extra = {"x-tidemill-wait": f"{patience_s:.3f}"} if patience_s else {}
        try:
            body = json.dumps(request).encode("ascii")
            status, content = self._exchange(_DESCRIBE, body, extra)
        except (OSError, http.client.HTTPException):
            self._drop()
            return None
        if status != 200:
            return None
        answer: dict[str, Any] = json.loads(content)
        return answer

    def _send(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer, or None where boto3 is to ask and to tell what is wrong."""
        body = json.dumps(request).encode("ascii")
        invocation = str(uuid.uuid4())
        for attempt, pause_s in enumerate(_PAUSES_S, 1):
            lost: Exception | None = None
            status, content = 0, b""
            try:
                tries = {"amz-sdk-request": f"attempt={attempt}"}
                status, content = self._exchange(
                    _SUBMIT, body, {"amz-sdk-invocation-id": invocation, **tries}
                )
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                lost = error
            if status == 200:
                answer: dict[str, Any] = json.loads(content)
                return answer
            if lost is None and status not in _AGAIN:
                return None
            time.sleep(pause_s)
        # A try of these may have been taken: boto3 would submit another, under an id of its own.
        raise self._failure(status, content, lost) from lost

    def _failure(self, status: int, content: bytes, lost: Exception | None) -> Exception:
        from botocore.exceptions import ClientError, ConnectionClosedError

        told: Exception
        if lost is not None:
            told = ConnectionClosedError(endpoint_url=self._batch.meta.endpoint_url)
        else:
            error = {"Code": "ServerException", "Message": _message(content)}
            metadata = {"HTTPStatusCode": status}
            told = ClientError({"Error": error, "ResponseMetadata": metadata}, "SubmitJob")
        return told

    def _exchange(self, path: str, body: bytes, extra: Mapping[str, str]) -> tuple[int, bytes]:
        credentials = self._session.get_credentials().get_frozen_credentials()
        headers = signed_headers(
            *(credentials, self._region, self._host, path, body, time.time()),
            service="batch",
            method="POST",
        )
        headers["content-type"] = "application/json"
        headers["content-length"] = str(len(body))
        headers.update(extra)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sock = self._socket()
        sock.sendall(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)
        answer = http.client.HTTPResponse(sock, method="POST")
        answer.begin()
        content = answer.read()
        if answer.will_close:
            self._drop()
        return answer.status, content

    def _socket(self) -> socket.socket:
        """This thread's own, in this process: a fork must not write into its parent's."""
        kept: socket.socket | None = getattr(self._kept, "socket", None)
        if kept is None or self._kept.pid != os.getpid():
            kept = socket.create_connection((self._name, self._port), _TIMEOUT_S)
            kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._kept.socket, self._kept.pid = kept, os.getpid()
        return kept

    def _drop(self) -> None:
        kept: socket.socket | None = getattr(self._kept, "socket", None)
        if kept is not None:
            kept.close()
        self._kept.socket = None


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return "The server can't take jobs now: try again later."
