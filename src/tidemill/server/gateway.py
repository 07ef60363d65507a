"""From a whole request to a whole answer: who calls, what is asked, which service answers.

Every refusal takes the protocol's own modelled form. What a client sent never leads to a 5xx; a
bug of ours does, is logged with its request id, and says so.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from typing import Final

from tidemill.platform.disk import DiskFloor
from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller, Service
from tidemill.server.authentication import Authentication
from tidemill.server.own_path import PREFIX, OwnPaths
from tidemill.wire.error import WireError
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest, HttpResponse
from tidemill.wire.route import Route, identify
from tidemill.wire.serialize import serialize, serialize_error

log = logging.getLogger(__name__)

NUMBER_OF_TRY: Final = re.compile(rb"(?:^|;)\s*attempt=(\d+)")

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
            caller = self._caller(request, sender.access_key, request_id)
            result = await service.call(route.operation, params, caller)
            return serialize(route, result, request_id)
        except WireError as error:
            return serialize_error(
                route or error.route, error.code, error.message, request_id, error.members
            )
        except Fault as fault:
            return serialize_error(route, fault.code, fault.message, request_id, fault.members)
        except Exception:
            log.exception("request %s failed in the server", request_id)
            message = f"The server failed on request {request_id}: a bug of ours, in its log."
            return serialize_error(route, "InternalFailure", message, request_id, {})

    def _caller(self, request: HttpRequest, access_key: str, request_id: str) -> Caller:
        invocation = request.header(b"amz-sdk-invocation-id")
        retry_key = None
        is_retry = False
        if invocation is not None:
            retry_key = f"{access_key} {invocation.decode('latin-1')}"
            number = NUMBER_OF_TRY.search(request.header(b"amz-sdk-request") or b"")
            is_retry = number is not None and number[1] != b"1"
        return Caller(
            account=self._account,
            region=self._region,
            access_key=access_key,
            retry_key=retry_key,
            is_retry=is_retry,
            request_id=request_id,
        )

    def _not_served(self, route: Route) -> str:
        served = ", ".join(sorted(self._services))
        return f"{route.service} is not served here yet; this server answers {served}."
