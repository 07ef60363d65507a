"""From a whole request to a whole answer: who calls, what is asked, which service answers.

Every refusal takes the protocol's own modelled form. What a client sent never leads to a 5xx; a
bug of ours does, is logged with its request id, and says so.
"""

from __future__ import annotations

import errno
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Final

from tidemill.platform.body import SPOOL_ABOVE_BYTES
from tidemill.platform.disk import DiskFloor
from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller, Service
from tidemill.platform.store import StoreError
from tidemill.server.authentication import Authentication
from tidemill.server.own_path import PREFIX, OwnPaths
from tidemill.wire.error import WireError
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest, HttpResponse
from tidemill.wire.route import Route, identify, presume
from tidemill.wire.serialize import serialize, serialize_error

log = logging.getLogger(__name__)

NUMBER_OF_TRY: Final = re.compile(rb"(?:^|;)\s*attempt=(\d+)")

WAIT: Final = b"x-tidemill-wait"
"""A header of ours, which AWS ignores: the seconds that a caller of DescribeJobs is ready to wait
for the end of one of the jobs, so that it need not ask again and again."""

WAIT_MAX_S: Final = 60.0

GROWING: Final = ("Complete", "Copy", "Create", "Put", "Register", "Submit", "Upload")
"""How the names of operations begin that need room on the disk."""

RETRYABLE: Final = {
    "batch": "ServerException",
    "logs": "ServiceUnavailableException",
    "s3": "SlowDown",
}
"""The code by which each service says that the same call may go through later."""


class Gateway:
    """Authenticates, routes, parses, calls, serialises."""

    def __init__(
        self,
        authentication: Authentication,
        services: Mapping[str, Service],
        own_paths: OwnPaths,
        disk: DiskFloor,
        *,
        account: str,
        region: str,
    ) -> None:
        self._authentication = authentication
        self._services = services
        self._own_paths = own_paths
        self._disk = disk
        self._account = account
        self._region = region

    async def answer(self, request: HttpRequest, body_sha256: str | None) -> HttpResponse:
        """The answer to `request`; `body_sha256` is given (hex) where the body is in a file."""
        request_id = str(uuid.uuid4())
        route: Route | None = None
        try:
            if request.raw_path.startswith(PREFIX):
                may = self._authentication.may_administer(request)
                return await self._own_paths.answer(request, may)
            request, sender = await self._authentication.check(request, body_sha256)
            route = identify(request, sender.service)
            service = self._services.get(route.service)
            if service is None:
                raise WireError("UnknownOperationException", self._not_served(route), route=route)
            if route.operation.startswith(GROWING):
                self._disk.check(RETRYABLE.get(route.service, "ServiceUnavailable"))
            params = parse(route, request)
            caller = self._caller(request, route, sender.access_key, request_id)
            result = await service.call(route.operation, params, caller)
            return serialize(route, result, request_id)
        except Exception as error:  # noqa: BLE001 - it is answered, and logged where it is ours
            return _refusal(error, route, request_id)

    def admit(self, head: HttpRequest) -> None:
        """Let a body that is too large for memory go to disk, or raise why it may not.

        It is asked before the body is there: only who has a key can fill the disk, and only S3
        takes bodies of such a size.
        """
        route = identify(head, self._authentication.check_head(head))
        if route.service != "s3":
            raise WireError(
                "RequestEntityTooLargeException",
                f"A request to {route.service} has at most {SPOOL_ABOVE_BYTES:,} bytes.",
                route=route,
            )
        self._disk.check(RETRYABLE[route.service])

    def refuse(self, head: HttpRequest, error: Exception) -> HttpResponse:
        """The answer to a request whose body was not taken in because of `error`."""
        route = error.route if isinstance(error, WireError) else None
        return _refusal(error, route or presume(head, None), str(uuid.uuid4()))

    def _caller(
        self, request: HttpRequest, route: Route, access_key: str, request_id: str
    ) -> Caller:
        invocation = request.header(b"amz-sdk-invocation-id")
        retry_key = None
        is_retry = False
        if invocation is not None:
            call = f"{route.service}.{route.operation}"
            retry_key = f"{access_key} {call} {invocation.decode('latin-1')}"
            number = NUMBER_OF_TRY.search(request.header(b"amz-sdk-request") or b"")
            is_retry = number is not None and number[1] != b"1"
        return Caller(
            account=self._account,
            region=self._region,
            access_key=access_key,
            retry_key=retry_key,
            is_retry=is_retry,
            request_id=request_id,
            wait_s=_wait_s(request.header(WAIT)),
        )

    def _not_served(self, route: Route) -> str:
        served = ", ".join(sorted(self._services))
        return f"{route.service} is not served here yet; this server answers {served}."


def _wait_s(given: bytes | None) -> float:
    if given is None:
        return 0.0
    try:
        return min(max(0.0, float(given)), WAIT_MAX_S)
    except ValueError as error:
        name = WAIT.decode()
        raise WireError(
            "ValidationException", f"The header {name} must be a number of seconds, such as 20."
        ) from error


def _refusal(error: Exception, route: Route | None, request_id: str) -> HttpResponse:
    """The modelled form of what went wrong; a bug of ours is logged and says no more than that."""
    if isinstance(error, WireError | Fault):
        if isinstance(error, WireError):
            route = route or error.route
        return serialize_error(route, error.code, error.message, request_id, error.members)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("request %s found no room on the disk: %s", request_id, error)
        code = RETRYABLE.get(route.service if route else "", "ServiceUnavailable")
        message = "The disk of the server is full: make room there, then send the call again."
        return serialize_error(route, code, message, request_id, {})
    if isinstance(error, StoreError):  # nothing was done; over a commit the server ends itself
        code = RETRYABLE.get(route.service if route else "", "ServiceUnavailable")
        return serialize_error(route, code, str(error), request_id, {})
    log.error("request %s failed in the server", request_id, exc_info=error)
    message = f"The server failed on request {request_id}: a bug of ours, in its log."
    return serialize_error(route, "InternalFailure", message, request_id, {})
