"""AWS Signature Version 4 of one simple request, for where botocore's own would cost most.

Source: AWS General Reference, "Create a signed AWS API request". Everything else that the library
sends is signed by boto3.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any, Final

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def signed_headers(
    credentials: Any,
    region: str,
    host: str,
    path: str,
    body: bytes,
    now_s: float,
    *,
    service: str = "s3",
    method: str = "PUT",
) -> dict[str, str]:
    """The headers that make `PUT path` an authentic request to S3, or another to another service.

    `credentials` are botocore's frozen ones; `path` is of letters that a URL holds as they are.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(headers)  # in alphabetical order as they stand
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = hashlib.sha256(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}".encode("ascii"))
    scope = (moment[:8], region, service, "aws4_request")
    text = "\n".join((_ALGORITHM, moment, "/".join(scope), canonical.hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope, text):
        key = hmac.digest(key, part.encode("ascii"), "sha256")
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{'/'.join(scope)}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return headers
