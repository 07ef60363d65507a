"""Who sent a request: SigV4 in a header or in the query string, SigV2 in S3's old presigned URLs.

A signature is made over what was sent, so over the raw path and never over a decoded one. The
codes and words of a refusal are those of the service the request is signed for: JSON services,
query services and S3 each have their own.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from tidemill.wire import canonical, sign_v2, timestamp
from tidemill.wire.chunked import ChunkSigner
from tidemill.wire.claim import ALGORITHM, Claim, read_claim
from tidemill.wire.error import Mismatch, WireError
from tidemill.wire.location import read_header
from tidemill.wire.refusal import Refusal, refusal_for
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import presume
from tidemill.wire.service import profile_of

__all__ = ["Claim", "Lookup", "Signed", "read_claim", "signing_key", "verify"]

Lookup = Callable[[str, str | None], str | None]
"""From an access key and a session token to the secret key; None when there is no such key."""

STREAMING: Final = b"STREAMING-"
UNSIGNED: Final = b"UNSIGNED-PAYLOAD"
SKEW: Final = timedelta(minutes=15)
EXPIRES_MAX_S: Final = 7 * 24 * 3600
# Their clients sign for us-east-1 whatever the region is, for on AWS they have no regions.
_GLOBAL_SERVICES: Final = frozenset({"iam", "sts"})
_GLOBAL_REGION: Final = "us-east-1"
_STAMP: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEX: Final = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request whose signature is right, and who made it."""

    access_key: str
    region: str
    service: str
    token: str | None
    is_presigned: bool
    timestamp: str = ""
    scope: str = ""
    signature: str = field(default="", repr=False)
    key: bytes = field(default=b"", repr=False)

    def chunk_signer(self) -> ChunkSigner:
        """What the chunks of this request's body are signed with."""
        return ChunkSigner(
            key=self.key, timestamp=self.timestamp, scope=self.scope, seed=self.signature
        )


def verify(
    request: HttpRequest,
    lookup: Lookup,
    region: str,
    now: datetime,
    *,
    claim: Claim | None = None,
    body_sha256: str | None = None,
) -> Signed:
    """Who signed `request`; WireError, with AWS's code and route for it, unless it is right.

    `claim` is what `read_claim` gave for it, where the caller has read it already.
    `body_sha256` is the hash of the body as it was sent, needed where `request.body` is not bytes.
    """
    claim = claim or read_claim(request)
    if claim is None:
        raise _unsigned(request)
    try:
        return _verify(request, claim, lookup, region, now, body_sha256)
    except WireError as error:
        error.route = presume(request, claim.service)
        raise


def _unsigned(request: HttpRequest) -> WireError:
    route = presume(request, None)
    error = refusal_for(profile_of(route.service).signing_name if route else None).unsigned()
    error.route = route
    return error


def _verify(
    request: HttpRequest,
    claim: Claim,
    lookup: Lookup,
    region: str,
    now: datetime,
    body_sha256: str | None,
) -> Signed:
    refusal = refusal_for(claim.service)
    secret = lookup(claim.access_key, claim.token)
    if secret is None:
        raise refusal.unknown_key(claim.access_key, claim.token)
    if claim.is_v2:
        sign_v2.verify(request, claim.signature, secret, now)
        return Signed(
            access_key=claim.access_key,
            region=region,
            service="s3",
            token=claim.token,
            is_presigned=True,
        )
    _check_region(claim, region, refusal)
    stamp = _check_time(request, claim, now, refusal)
    payload = _payload_hash(request, claim, body_sha256)
    key = signing_key(secret, claim.date, claim.region, claim.service)
    if not _matches(request, claim, stamp, payload, key, refusal):
        raise refusal.mismatch()
    _check_payload(request, claim, payload, body_sha256)
    return Signed(
        access_key=claim.access_key,
        region=claim.region,
        service=claim.service,
        token=claim.token,
        is_presigned=claim.is_presigned,
        timestamp=stamp,
        scope=claim.scope,
        signature=claim.signature,
        key=key,
    )


@lru_cache(maxsize=256)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs a day's requests of one secret to one service of one region."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _check_region(claim: Claim, region: str, refusal: Refusal) -> None:
    if claim.region == region:
        return
    if claim.service in _GLOBAL_SERVICES and claim.region == _GLOBAL_REGION:
        return
    raise refusal.wrong_region(claim.region, region)


def _check_time(request: HttpRequest, claim: Claim, now: datetime, refusal: Refusal) -> str:
    """The request's own time, if it is near enough to `now`."""
    if claim.is_presigned:
        values = canonical.first_values(request.query)
        stamp = values["X-Amz-Date"]
        moment = _moment(stamp, claim, refusal)
        _check_expiry(values["X-Amz-Expires"], moment, now, refusal)
        return stamp
    value = request.header(b"x-amz-date")
    if value is None:
        value = _stamp_of_date(request, refusal)
    stamp = value.decode("latin-1")
    moment = _moment(stamp, claim, refusal)
    if not -SKEW <= moment - now <= SKEW:
        raise refusal.skewed(stamp, moment, now, SKEW)
    return stamp


def _stamp_of_date(request: HttpRequest, refusal: Refusal) -> bytes:
    """The time of a request that has a Date header but no X-Amz-Date."""
    try:
        moment = timestamp.from_text(read_header(request.header(b"date") or b""))
    except Mismatch:
        raise refusal.incomplete(
            "The request needs an X-Amz-Date header (YYYYMMDDTHHMMSSZ) or a Date header."
        ) from None
    return moment.strftime("%Y%m%dT%H%M%SZ").encode()


def _moment(stamp: str, claim: Claim, refusal: Refusal) -> datetime:
    try:
        if not _STAMP.fullmatch(stamp):
            raise ValueError
        moment = datetime(
            int(stamp[:4]),
            int(stamp[4:6]),
            int(stamp[6:8]),
            int(stamp[9:11]),
            int(stamp[11:13]),
            int(stamp[13:15]),
            tzinfo=UTC,
        )
    except ValueError:
        raise refusal.incomplete(
            f"Date must be in ISO-8601 'basic format', YYYYMMDDTHHMMSSZ. Got '{stamp[:40]}'."
        ) from None
    if not stamp.startswith(claim.date):
        raise refusal.bad_scope(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            f"from HTTP: '{claim.date[:40]}' != '{stamp[:8]}', from '{stamp}'."
        )
    return moment


def _check_expiry(text: str, moment: datetime, now: datetime, refusal: Refusal) -> None:
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= EXPIRES_MAX_S:
        raise refusal.bad_expiry(
            f"X-Amz-Expires must be a number of seconds from 1 to {EXPIRES_MAX_S} (a week), "
            f"not '{text[:40]}'."
        )
    if moment - now > SKEW:
        raise refusal.not_yet(moment, now)
    until = moment + timedelta(seconds=int(text))
    if now > until:
        raise refusal.expired(until, now)


def _payload_hash(request: HttpRequest, claim: Claim, body_sha256: str | None) -> str:
    """What stands for the body in the signature."""
    declared = request.header(b"x-amz-content-sha256")
    if claim.service == "s3":
        if claim.is_presigned and "x-amz-content-sha256" not in claim.signed_headers.split(";"):
            return UNSIGNED.decode()
        if declared is not None:
            return declared.decode("latin-1")
        raise WireError(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    if declared == UNSIGNED:
        return UNSIGNED.decode()
    return _body_hash(request, body_sha256)


def _body_hash(request: HttpRequest, body_sha256: str | None) -> str:
    if body_sha256 is not None:
        return body_sha256
    if not isinstance(request.body, bytes):
        raise WireError("InvalidRequest", "The body is too large for this request.")
    return hashlib.sha256(request.body).hexdigest()


def _check_payload(
    request: HttpRequest, claim: Claim, payload: str, body_sha256: str | None
) -> None:
    """S3 signs the hash that the client declares: whether the body has it, is seen afterwards."""
    if claim.service != "s3" or payload == UNSIGNED.decode():
        return
    declared = payload.encode("latin-1")
    if declared.startswith(STREAMING):
        return
    if not _HEX.fullmatch(declared):
        raise WireError(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- value "
            "or the hexadecimal SHA-256 of the body.",
        )
    made = _body_hash(request, body_sha256)
    if not hmac.compare_digest(made, payload):
        raise WireError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            members={
                "ClientComputedContentSHA256": payload,
                "S3ComputedContentSHA256": made,
            },
        )


def _matches(
    request: HttpRequest, claim: Claim, stamp: str, payload: str, key: bytes, refusal: Refusal
) -> bool:
    names = claim.signed_headers.split(";")
    if "host" not in names:
        raise refusal.incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if claim.service == "s3":
        canonical.refuse_unsigned_headers(request, names)
    headers = canonical.headers(request, names)
    stated = claim.signature.encode("latin-1", "replace")
    for path, query in canonical.forms(request, claim.service):
        text = f"{request.method}\n{path}\n{query}\n{headers}\n{claim.signed_headers}\n{payload}"
        digest = hashlib.sha256(text.encode("latin-1", "replace")).hexdigest()
        to_sign = f"{ALGORITHM}\n{stamp}\n{claim.scope}\n{digest}"
        made = hmac.digest(key, to_sign.encode("latin-1", "replace"), "sha256").hex()
        if hmac.compare_digest(made.encode(), stated):
            return True
    return False
