"""What stands under `/_tidemill/`: attempts' credentials, and administration by signed requests.

No bucket's name may hold an underscore, so no S3 path is hidden by it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tidemill.platform.clock import Clock
from tidemill.server.credential import ATTEMPT_CREDENTIALS_S, CredentialMaker
from tidemill.wire.request import HttpRequest, HttpResponse

PREFIX: Final = b"/_tidemill/"
CREDENTIALS_PATH: Final = "/_tidemill/credentials"
SIGNING_NAME: Final = "tidemill"

Operation = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class OperationRefused(Exception):
    """An administrative operation can't be done: one sentence."""


class OwnPaths:
    """Answers our own paths.

    `is_active` tells whether an attempt still runs: only such a one is given credentials.
    `operations` are the administrative ones by name; they take and give JSON objects and are open
    to the server's own access key alone.
    """

    def __init__(
        self,
        credentials: CredentialMaker,
        clock: Clock,
        is_active: Callable[[str], bool],
        operations: Mapping[str, Operation],
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._is_active = is_active
        self._operations = operations

    async def answer(self, request: HttpRequest, may_administer: bool) -> HttpResponse:
        """`may_administer` says that the request carries the server's own key's signature."""
        path = request.raw_path.decode("ascii", "replace")
        if path == CREDENTIALS_PATH:
            return self._attempt_credentials(request)
        operation = self._operations.get(path.removeprefix(PREFIX.decode()))
        if operation is None:
            return _json(404, {"message": f"There is nothing at {path}."})
        if not may_administer:
            return _json(403, {"message": f"{path} takes requests signed with the server's key."})
        try:
            params = json.loads(request.body or b"{}")
            if not isinstance(params, dict):
                raise ValueError("it is no JSON object")
            return _json(200, await operation(params))
        except ValueError as error:
            return _json(400, {"message": f"The body of {path} can't be read: {error}."})
        except OperationRefused as error:
            return _json(409, {"message": str(error)})

    def _attempt_credentials(self, request: HttpRequest) -> HttpResponse:
        """The container credentials endpoint, as AWS's SDKs ask it.

        Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
        """
        token = (request.header(b"authorization") or b"").decode("latin-1")
        attempt_id = self._credentials.attempt_of(token)
        if attempt_id is None:
            return _json(403, {"message": "The authorization token is not of this server."})
        if not self._is_active(attempt_id):
            return _json(403, {"message": f"Attempt {attempt_id} has ended."})
        now_s = self._clock.now().wall_ms // 1000
        issued = self._credentials.issue(attempt_id, now_s + ATTEMPT_CREDENTIALS_S)
        return _json(
            200,
            {
                "AccessKeyId": issued.access_key_id,
                "SecretAccessKey": issued.secret_access_key,
                "Token": issued.token,
                "Expiration": datetime.fromtimestamp(issued.expires_s, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
            },
        )


def _json(status: int, body: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(status, [(b"content-type", b"application/json")], json.dumps(body).encode())
