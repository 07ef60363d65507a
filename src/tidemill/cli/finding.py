"""What `tidemill doctor` says of one thing: how it stands, what is wrong, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tidemill.sdk.client import Connection

POLICY: Final = "docs/sdk-on-aws.md has the policy that it needs"


class State(StrEnum):
    """How a thing stands. `UNCHECKED` could not be tried; a `NOTE` is fine, and worth knowing."""

    OK = "ok"
    WRONG = "wrong"
    NOTE = "note"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; `remedy` is what to do, empty where nothing is."""

    check: str
    state: State
    told: str
    remedy: str = ""


def ok(check: str, told: str) -> Finding:
    """It is as it should be."""
    return Finding(check=check, state=State.OK, told=told)


def wrong(check: str, told: str, remedy: str) -> Finding:
    """Jobs will not run like this."""
    return Finding(check=check, state=State.WRONG, told=told, remedy=remedy)


def note(check: str, told: str, remedy: str = "") -> Finding:
    """Jobs run like this; somebody may want it otherwise."""
    return Finding(check=check, state=State.NOTE, told=told, remedy=remedy)


def unchecked(check: str, told: str, remedy: str = "") -> Finding:
    """It could not be tried, or not without changing anything."""
    return Finding(check=check, state=State.UNCHECKED, told=told, remedy=remedy)


def code_of(error: Exception) -> str:
    """AWS's code for an error, or nothing where AWS did not answer."""
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def is_denied(error: Exception) -> bool:
    """Whether the keys are known and may not do this."""
    return code_of(error) in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


_UNKNOWN_KEY: Final = {
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
    "AuthFailure",
}
_WRONG_SECRET: Final = {"SignatureDoesNotMatch", "InvalidSignatureException"}
_EXPIRED: Final = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_SKEWED: Final = {"RequestTimeTooSkewed", "RequestInTheFuture"}


def failed(check: str, error: Exception, connection: Connection) -> Finding:
    """The finding for an error that a call raised; an error that is a bug of ours is raised."""
    from botocore.exceptions import ConnectionError as Unreached
    from botocore.exceptions import HTTPClientError

    from tidemill.cli.failure import sentence

    told = sentence(error)
    if told is None:
        raise error
    if isinstance(error, HTTPClientError | Unreached) and connection.is_aws:
        told = f"AWS does not answer in {connection.region}"
        return wrong(check, told, "look at the network, and at how the region is spelt")
    code, message = code_of(error), told.rstrip(".")
    keys = _where_keys_come_from(connection)
    if code in _SKEWED or (code in _WRONG_SECRET and _speaks_of_time(message)):
        return wrong(check, message, "set this machine's clock, best by NTP")
    if "region" in message.lower() and code:
        return wrong(check, message, "set the region in the profile, or AWS_DEFAULT_REGION")
    if code in _UNKNOWN_KEY:
        return wrong(check, "the access key is not known there", keys)
    if code in _WRONG_SECRET:
        return wrong(check, "the secret is not the access key's", keys)
    if code in _EXPIRED:
        return wrong(check, "the credentials have expired", "renew them, as by `aws sso login`")
    if is_denied(error):
        return wrong(check, f"these credentials may not do this ({message})", POLICY)
    found, _, remedy = message.partition("; ")
    return wrong(check, found, remedy)


def _speaks_of_time(message: str) -> bool:
    return any(word in message.lower() for word in ("expired", "not yet", "skew", "too old"))


def _where_keys_come_from(connection: Connection) -> str:
    found = connection.session.get_credentials()
    source = f"they come from `{found.method}`" if found is not None else "there are none"
    if connection.is_aws:
        return f"give the keys of the account ({source})"
    return f"`tidemill config --write` beside the server stores its own ({source})"


def place_of(connection: Connection) -> str:
    """Where the calls go, as people say it."""
    endpoint = connection.client("batch").meta.endpoint_url
    if connection.is_aws:
        return f"AWS in {connection.region}"
    return f"a server at {urlsplit(endpoint).netloc}, region {connection.region}"
