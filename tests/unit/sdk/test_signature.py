"""What the courier signs by itself is what botocore would have signed."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from tidemill.sdk.signature import signed_headers

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "a+long/token=="])
@pytest.mark.parametrize("body", [b"", b"\0\xff" * 300])
def test_the_signature_is_botocores(token: str | None, body: bytes) -> None:
    credentials = ReadOnlyCredentials("AKID", "a/secret+key", token)
    path = "/bucket/runs/20260304T050607-0a/results/00000001.01.j.bnVsbA-_"
    ours = signed_headers(credentials, "eu-west-1", "127.0.0.1:5057", path, body, NOW.timestamp())
    request = AWSRequest("PUT", "http://127.0.0.1:5057" + path, data=body)
    with mock.patch.object(auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        auth.S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    assert ours["authorization"] == theirs["authorization"]
    assert {**ours, **theirs} == ours
