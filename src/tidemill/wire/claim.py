"""What a request says of its sender: the access key, and the scope it is signed for.

Nothing is checked here; `sign` does that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from tidemill.wire import canonical
from tidemill.wire.error import WireError, shorten
from tidemill.wire.location import read_header
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import presume

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]+) *"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a request says of its sender, not checked yet."""

    access_key: str
    region: str
    service: str
    token: str | None
    is_presigned: bool
    date: str = ""
    signed_headers: str = ""
    signature: str = field(default="", repr=False)
    is_v2: bool = False

    @property
    def scope(self) -> str:
        """The credential scope, as it is signed."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_claim(request: HttpRequest) -> Claim | None:
    """Who a request says it is from, unchecked; None when it does not say.

    WireError when it says so in a form that cannot be read.
    """
    try:
        return _claim(request)
    except WireError as error:
        error.route = presume(request, None)
        raise


def _claim(request: HttpRequest) -> Claim | None:
    authorization = request.header(b"authorization")
    if authorization is not None:
        return _header_claim(request, authorization.decode("latin-1"))
    if b"X-Amz-Signature=" in request.query or b"X-Amz-Credential=" in request.query:
        return _query_claim(canonical.first_values(request.query))
    if b"AWSAccessKeyId=" in request.query:
        values = canonical.first_values(request.query)
        return Claim(
            access_key=values.get("AWSAccessKeyId", ""),
            region="",
            service="s3",
            token=values.get("x-amz-security-token"),
            is_presigned=True,
            signature=values.get("Signature", ""),
            is_v2=True,
        )
    return None


def _header_claim(request: HttpRequest, authorization: str) -> Claim:
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is not None:
        credential, signed_headers, signature = match.groups()
    else:
        credential, signed_headers, signature = _parts(authorization)
    token = request.header(b"x-amz-security-token")
    access_key, date, region, service = _credential(credential)
    return Claim(
        access_key=access_key,
        date=date,
        region=region,
        service=service,
        token=None if token is None else read_header(token),
        is_presigned=False,
        signed_headers=signed_headers,
        signature=signature,
    )


def _parts(authorization: str) -> tuple[str, str, str]:
    """The parts of an Authorization header in any order; WireError names those that miss."""
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise WireError(
            "IncompleteSignature",
            f"Unsupported Authorization type '{shorten(algorithm)}': requests are signed with "
            f"{ALGORITHM}.",
        )
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not parts.get(name)]
    if missing:
        sentences = [f"Authorization header requires '{name}' parameter." for name in missing]
        raise WireError("IncompleteSignature", " ".join(sentences))
    return parts["Credential"], parts["SignedHeaders"], parts["Signature"]


def _credential(credential: str) -> tuple[str, str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise WireError(
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements, "
            "KEY/YYYYMMDD/REGION/SERVICE/aws4_request, "
            f"but '{shorten(credential)}' has not.",
        )
    return parts[0], parts[1], parts[2], parts[3]


def _query_claim(values: dict[str, str]) -> Claim:
    needed = ("Credential", "Date", "Expires", "SignedHeaders", "Signature")
    missing = [name for name in needed if not values.get(f"X-Amz-{name}")]
    if missing or values.get("X-Amz-Algorithm") != ALGORITHM:
        names = ", ".join(f"X-Amz-{name}" for name in ("Algorithm", *needed))
        raise WireError(
            "AuthorizationQueryParametersError"
            if "/s3/" in values.get("X-Amz-Credential", "")
            else "IncompleteSignature",
            f"Query-string authentication requires {names}, with the algorithm {ALGORITHM}.",
        )
    access_key, date, region, service = _credential(values["X-Amz-Credential"])
    return Claim(
        access_key=access_key,
        date=date,
        region=region,
        service=service,
        token=values.get("X-Amz-Security-Token"),
        is_presigned=True,
        signed_headers=values["X-Amz-SignedHeaders"],
        signature=values["X-Amz-Signature"],
    )
