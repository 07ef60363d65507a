"""STS: who a caller is, and credentials that end.

There is one account, and whoever holds one of its keys may do everything in it, so a role here is
a name for a session and not a set of permissions. Credentials are made by the server, through a
port: this service knows neither keys nor how they are signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tidemill.platform.arn import Arn
from tidemill.platform.clock import Clock
from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller

Params = dict[str, Any]

SESSION_S: Final = 43_200
ROLE_S: Final = 3_600
_TEMPORARY_KEYS: Final = "ASIA"
_ROLE_ID: Final = "AROATIDEMILLROLE00000"


class Credentials(Protocol):
    """Temporary credentials, which end at `expires_s` (Unix time)."""

    @property
    def access_key_id(self) -> str: ...

    @property
    def secret_access_key(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def expires_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes credentials for a subject until a time; asynchronous in nothing."""

    clock: Clock
    issue: Callable[[str, int], Credentials]


class StsService:
    """The service named `sts`; without an issuer it only says who calls."""

    name = "sts"

    def __init__(self, account: str, issuer: Issuer | None = None) -> None:
        self._account = account
        self._issuer = issuer

    async def call(self, operation: str, params: Params, caller: Caller) -> dict[str, Any]:
        """Answer one operation."""
        match operation:
            case "GetCallerIdentity":
                return self._identity(caller)
            case "GetAccessKeyInfo":
                return {"Account": self._account}
            case "GetSessionToken" if self._issuer is not None:
                _refuse_session(caller)
                return {"Credentials": self._issue(self._issuer, "session", params, SESSION_S)}
            case "AssumeRole" if self._issuer is not None:
                _refuse_long_chain(caller, params)
                return self._assume_role(self._issuer, params)
            case _:
                raise Fault(
                    "InvalidAction",
                    f"{operation} is not offered: there is one account here, without users, "
                    "identity providers or permissions; call GetCallerIdentity, GetSessionToken "
                    "or AssumeRole.",
                )

    def _identity(self, caller: Caller) -> dict[str, Any]:
        """The account's root for its own key; a session for credentials that end."""
        if not _is_temporary(caller):
            arn = Arn("iam", "", self._account, "root")
            return {"UserId": self._account, "Account": self._account, "Arn": str(arn)}
        arn = Arn("sts", "", self._account, f"assumed-role/tidemill/{caller.access_key}")
        user_id = f"{_ROLE_ID}:{caller.access_key}"
        return {"UserId": user_id, "Account": self._account, "Arn": str(arn)}

    def _assume_role(self, issuer: Issuer, params: Params) -> dict[str, Any]:
        role = Arn.parse(params["RoleArn"])
        if role is None or role.service != "iam" or not role.resource.startswith("role/"):
            raise Fault("ValidationError", f"{params['RoleArn']} is invalid: no ARN of a role.")
        if role.account != self._account:
            raise Fault(
                "AccessDenied",
                f"The role {role} is of account {role.account}; here is {self._account} alone.",
            )
        session = params["RoleSessionName"]
        path = f"assumed-role/{role.resource.rpartition('/')[2]}/{session}"
        return {
            "Credentials": self._issue(issuer, f"role {path}", params, ROLE_S),
            "AssumedRoleUser": {
                "AssumedRoleId": f"{_ROLE_ID}:{session}",
                "Arn": str(Arn("sts", "", self._account, path)),
            },
        }

    def _issue(
        self, issuer: Issuer, subject: str, params: Params, default_s: int
    ) -> dict[str, Any]:
        duration_s = params.get("DurationSeconds") or default_s
        expires_s = issuer.clock.now().wall_ms // 1000 + duration_s
        made = issuer.issue(subject, expires_s)
        return {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret_access_key,
            "SessionToken": made.token,
            "Expiration": made.expires_s,
        }


def _is_temporary(caller: Caller) -> bool:
    return caller.access_key.startswith(_TEMPORARY_KEYS)


def _refuse_session(caller: Caller) -> None:
    """Credentials that end, a job's for example, can't make others that end later."""
    if _is_temporary(caller):
        raise Fault("AccessDenied", "Cannot call GetSessionToken with session credentials")


def _refuse_long_chain(caller: Caller, params: Params) -> None:
    """A role assumed by another lasts an hour at most (AWS IAM user guide, "Role chaining")."""
    if _is_temporary(caller) and (params.get("DurationSeconds") or ROLE_S) > ROLE_S:
        raise Fault(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining",
        )
