"""The AWS clients of this process, made when they are first needed. On AWS nothing here differs."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import boto3

    from tidemill.sdk.sender import Sender

# A job's result must outlast a restart of the server; a person at a terminal must not wait long.
_TRIES: Final = {"s3": 9}
_TRIES_ELSE: Final = 4


class Connection:
    """One account at one endpoint, and a client for each service that is used.

    Clients are shared by all threads. `session` is boto3's; `endpoint_url` goes before what the
    session's own configuration says.
    """

    is_private = False
    """Whether this is a private server, whose jobs run here even if the project names an image."""

    def __init__(
        self, session: boto3.session.Session | None = None, endpoint_url: str | None = None
    ) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._account: str | None = None
        self._lock = threading.RLock()
        self.definitions: dict[str, tuple[dict[str, Any], str]] = {}
        """Job definitions known to be registered: as wanted, and the ARN; by name."""
        self.consumables: dict[str, int] = {}
        """Consumable resources known to be there, and how much of each."""
        self.kept: set[tuple[str, int]] = set()
        """Buckets known to remove what is kept so many days."""
        self.array_max: int | None = None
        """How many children an array may have, once a refusal has said so."""

    @property
    def session(self) -> Any:
        """boto3's session, made at first use by the rules of `tidemill.sdk.session`."""
        with self._lock:
            if self._session is None:
                from tidemill.sdk.session import default

                self._session, endpoint_url = default()
                self._endpoint_url = self._endpoint_url or endpoint_url
            return self._session

    def client(self, service: str) -> Any:
        """The client of `service`, the same one every time."""
        found = self._clients.get(service)
        if found is None:
            with self._lock:
                found = self._clients.get(service) or self._make(service)
                self._clients[service] = found
        return found

    def _make(self, service: str) -> Any:
        made = self._client(service, "auto")
        if service == "s3" and not is_aws(made.meta.endpoint_url):
            # Beside AWS no host name is made for each bucket.
            made = self._client(service, "path")
        return made

    def _client(self, service: str, addressing: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": _TRIES.get(service, _TRIES_ELSE)},
            s3={"addressing_style": addressing},
            max_pool_connections=16,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_appid="tidemill",
        )
        session = self.session  # which may say where to
        made = session.client(service, endpoint_url=self._endpoint_url, config=config)
        made.meta.events.register("before-call.batch.DescribeJobs", _tell_patience)
        made.meta.events.register("before-parse.cloudwatch-logs.GetLogEvents", _take_as_json)
        return made

    @functools.cached_property
    def sender(self) -> Sender:
        """What sends SubmitJob and DescribeJobs."""
        from tidemill.sdk.sender import Sender

        return Sender(self)

    @functools.cached_property
    def is_aws(self) -> bool:
        """Whether this is AWS itself, where jobs run in containers, elsewhere."""
        return is_aws(self.client("batch").meta.endpoint_url)

    @property
    def account(self) -> str:
        """The account's id, asked for once."""
        if self._account is None:
            self._account = str(self.client("sts").get_caller_identity()["Account"])
        return self._account

    @property
    def region(self) -> str:
        """The region's name."""
        return str(self.client("batch").meta.region_name)


_patience_s: ContextVar[float] = ContextVar("patience_s", default=0.0)


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Have calls of DescribeJobs say how long to wait for an end; AWS takes no note of it."""
    token = _patience_s.set(seconds)
    try:
        yield
    finally:
        _patience_s.reset(token)


def patience_s() -> float:
    """For how long a call of DescribeJobs may wait now, in seconds."""
    return _patience_s.get()


def _tell_patience(params: dict[str, Any], **_: Any) -> None:
    if seconds := _patience_s.get():
        params["headers"]["X-Tidemill-Wait"] = f"{seconds:.3f}"


def _take_as_json(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Spare botocore its walk over each member of ten thousand events, which need no conversion.

    It takes four times as long as all else. A botocore of before 2025 does not ask.
    """
    media_type = response_dict["headers"].get("content-type", "")
    if response_dict["status_code"] == 200 and media_type.startswith("application/x-amz-json"):
        customized_response_dict.update(json.loads(response_dict["body"]))
        response_dict["body"] = b"{}"


def is_aws(endpoint_url: str) -> bool:
    """Whether an endpoint is AWS's own, in any partition."""
    from urllib.parse import urlsplit

    host = urlsplit(endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


_current = Connection()


def current() -> Connection:
    """The connection that the library uses now."""
    return _current


def use(connection: Connection) -> Connection:
    """Use another connection from now on; returns the one before."""
    global _current
    before, _current = _current, connection
    return before


def client(service: str) -> Any:
    """The client of `service` over the connection that the library uses now."""
    return _current.client(service)
