"""SigV2 in the query string: the form in which boto3 presigns S3 URLs for endpoints of one's own.

The string to sign is put together as the S3 developer guide has it under "Authenticating requests
using the REST API"; it is HMAC-SHA1, so only the secret key makes it safe.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from tidemill.wire import canonical, s3
from tidemill.wire.error import WireError
from tidemill.wire.location import read_header
from tidemill.wire.refusal import S3
from tidemill.wire.request import HttpRequest

_SUBRESOURCES: Final = frozenset(
    """
    accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging
    metrics notification object-lock partNumber policy replication requestPayment
    response-cache-control response-content-disposition response-content-encoding
    response-content-language response-content-type response-expires restore select select-type
    storageClass tagging torrent uploadId uploads versionId versioning versions website
    """.split()  # noqa: SIM905 - words read better than a column of literals
)


def verify(request: HttpRequest, signature: str, secret: str, now: datetime) -> None:
    """Refuse the request, with S3's codes, unless `signature` is right and its time not over."""
    expires = canonical.first_values(request.query).get("Expires", "")
    if not signature or not expires.isascii() or not expires.isdigit() or len(expires) > 11:
        raise WireError(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters; Expires is a time in Unix seconds.",
        )
    if now.timestamp() > int(expires):
        raise S3.expired(datetime.fromtimestamp(int(expires), UTC), now)
    text = string_to_sign(request, expires)
    digest = hmac.digest(secret.encode(), text.encode("utf-8"), "sha1")
    made = base64.b64encode(digest)
    if not hmac.compare_digest(made, signature.encode("latin-1", "replace")):
        raise S3.mismatch()


def string_to_sign(request: HttpRequest, expires: str) -> str:
    """What the signature of a presigned request is made over."""
    lines = [
        request.method,
        read_header(request.header(b"content-md5") or b"").strip(),
        read_header(request.header(b"content-type") or b"").strip(),
        expires,
    ]
    lines += _amz_headers(request)
    lines.append(s3.effective_path(request).decode("latin-1") + _subresources(request.query))
    return "\n".join(lines)


def _amz_headers(request: HttpRequest) -> list[str]:
    """S3's headers and, in a presigned URL, those that stand in the query string."""
    found = {
        read_header(name): read_header(value)
        for name, value in request.header_map.items()
        if name.startswith(b"x-amz-")
    }
    for name, value in canonical.first_values(request.query).items():
        if name.lower().startswith("x-amz-"):
            found.setdefault(name.lower(), value)
    return [f"{name}:{found[name].strip()}" for name in sorted(found)]


def _subresources(query: bytes) -> str:
    kept = []
    for part in query.decode("latin-1").split("&"):
        name, equals, value = part.partition("=")
        if name in _SUBRESOURCES:
            kept.append(f"{name}={unquote(value)}" if equals else name)
    return "?" + "&".join(sorted(kept)) if kept else ""
