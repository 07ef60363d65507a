"""What the server and the services know of each other: a service answers AWS operations.

The server parses a request into a dict of botocore's member names, calls `Service.call`, and
serialises the dict that comes back. Services call each other the same way, through `Calls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: the account and region that the call is for, and the key that signed it.

    `retry_key` names a mutating call across its sender's own retries (access key, operation and
    `amz-sdk-invocation-id`); `is_retry` says that this is not the first try, so that an answer
    may already stand in the store. `wait_s` says for how long the caller is ready to wait for
    something to happen before it is answered, where the operation knows such a thing.
    """

    account: str
    region: str
    access_key: str
    retry_key: str | None = None
    is_retry: bool = False
    request_id: str = ""
    wait_s: float = 0.0


class Service(Protocol):
    """One AWS service: a name that botocore knows and the operations behind it."""

    name: str

    async def call(self, operation: str, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer `operation` (AWS's name, `SubmitJob`) or raise `Fault`.

        `params` are checked against the model already: members have the right types, required
        ones are there. The answer has the members of the operation's output shape; timestamps
        may be numbers in the unit the model gives, or aware datetimes.
        """


class Calls(Protocol):
    """How a service calls another: by AWS's names, as any client would."""

    async def call(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """The answer of `service`, or its `Fault`."""
