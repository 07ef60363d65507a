"""Signatures: right ones of boto3's are accepted, and each way to be wrong has AWS's code."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tidemill.wire import canonical
from tidemill.wire.error import WireError
from tidemill.wire.request import HttpRequest
from tidemill.wire.sign import Signed, read_claim, verify

from .client import ACCESS_KEY, REGION, SECRET_KEY, caught, received

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("batch", "submit_job", {"jobName": "naïve", "jobQueue": "q", "jobDefinition": "d"}),
    ("batch", "list_tags_for_resource", {"resourceArn": "arn:aws:batch:eu-central-1:0:job/a b+c"}),
    ("sqs", "send_message", {"QueueUrl": "http://127.0.0.1:5057/0/q", "MessageBody": "x"}),
    ("stepfunctions", "list_state_machines", {}),
    ("cloudwatch", "put_metric_data", {"Namespace": "a", "MetricData": [{"MetricName": "m"}]}),
    ("iam", "list_users", {}),
    ("sts", "get_caller_identity", {}),
    (
        "lambda",
        "get_function",
        {"FunctionName": "arn:aws:lambda:eu-central-1:000000000000:function:a"},
    ),
    ("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "a b/+é&", "Delimiter": "/"}),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "a//b/../é +~%41?&=*'()!", "Body": b"x" * 99}),
    ("s3", "get_object", {"Bucket": "bucket", "Key": "./..//"}),
    (
        "s3",
        "put_object",
        {"Bucket": "bucket", "Key": "k", "Body": b"x", "Metadata": {"a": "b   c"}},
    ),
    ("s3", "create_multipart_upload", {"Bucket": "bucket", "Key": "k"}),
]


def secret_of(access_key: str, token: str | None) -> str | None:
    return SECRET_KEY if access_key == ACCESS_KEY and token in (None, "token/+=") else None


def verified(request: HttpRequest, **changed: Any) -> Signed:
    arguments: dict[str, Any] = {"lookup": secret_of, "region": REGION, "now": datetime.now(UTC)}
    return verify(request, **(arguments | changed))


def refused(request: HttpRequest, **changed: Any) -> WireError:
    with pytest.raises(WireError) as caught_error:
        verified(request, **changed)
    return caught_error.value


def with_header(request: HttpRequest, name: bytes, value: bytes | None) -> HttpRequest:
    headers = [pair for pair in request.headers if pair[0] != name]
    return replace(request, headers=headers + ([] if value is None else [(name, value)]))


@pytest.mark.parametrize(("service", "operation", "params"), CALLS)
@pytest.mark.parametrize("token", [None, "token/+="])
def test_what_boto3_signs_is_accepted(
    service: str, operation: str, params: dict[str, Any], token: str | None
) -> None:
    signed = verified(caught(service, operation, token=token, **params))
    assert (signed.access_key, signed.token, signed.is_presigned) == (ACCESS_KEY, token, False)


@pytest.mark.parametrize(("service", "operation", "params"), CALLS)
def test_whatever_is_changed_afterwards_is_refused(
    service: str, operation: str, params: dict[str, Any]
) -> None:
    request = caught(service, operation, **params)
    changed = [
        replace(request, method="PATCH"),
        replace(request, raw_path=request.raw_path + b"x"),
        replace(request, query=request.query + b"&x=1"),
        replace(request, body=request.body + b" "),
        with_header(request, b"host", b"elsewhere"),
    ]
    for each in changed:
        code = refused(each).code
        assert code in (
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "XAmzContentSHA256Mismatch",
        )


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("token", [None, "token/+="])
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5057", "http://localhost:5057"])
def test_presigned_urls_of_s3_are_accepted(version: str, token: str | None, endpoint: str) -> None:
    style = "virtual" if "localhost" in endpoint else "path"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        aws_session_token=token,
        config=Config(signature_version=version, s3={"addressing_style": style}),
    )
    params = {"Bucket": "bucket", "Key": "a b/é+", "ResponseContentType": "text/x; a=b"}
    url = client.generate_presigned_url("get_object", params, ExpiresIn=60)
    signed = verified(received("GET", url, {}))
    assert signed.is_presigned
    assert signed.token == token
    error = refused(received("GET", url, {}), now=datetime.now(UTC) + timedelta(seconds=62))
    assert error.code == "AccessDenied"
    assert "expired" in error.message
    assert refused(received("PUT", url, {})).code == "SignatureDoesNotMatch"
    assert refused(received("GET", url.replace("text", "tent"), {})).code == "SignatureDoesNotMatch"


def test_a_presigned_upload_needs_no_hash_of_its_body() -> None:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:5057",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(signature_version="s3v4"),
    )
    url = client.generate_presigned_url("put_object", {"Bucket": "b", "Key": "k"})
    assert verified(received("PUT", url, {}, b"anything")).is_presigned
    error = refused(received("PUT", url, {"x-amz-acl": "public-read"}, b"anything"))
    assert error.code == "AccessDenied"
    assert error.members == {"HeadersNotSigned": "x-amz-acl"}


def test_a_presigned_sts_url_is_accepted() -> None:
    client = boto3.client(
        "sts",
        endpoint_url="http://127.0.0.1:5057",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    url = client.generate_presigned_url("get_caller_identity", HttpMethod="GET")
    assert verified(received("GET", url, {})).service == "sts"


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "wrong", "skewed", "unsigned"),
    [
        (
            "batch",
            "describe_job_queues",
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
        ),
        (
            "sts",
            "get_caller_identity",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "SignatureDoesNotMatch",
            "MissingAuthenticationToken",
        ),
        (
            "s3",
            "list_buckets",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "RequestTimeTooSkewed",
            "AccessDenied",
        ),
    ],
)
def test_each_service_has_its_own_codes(
    service: str, operation: str, unknown: str, wrong: str, skewed: str, unsigned: str
) -> None:
    request = caught(service, operation)
    now = datetime.now(UTC)
    assert refused(request, lookup=lambda *_: None).code == unknown
    assert refused(request, lookup=lambda *_: "other").code == wrong
    assert refused(request, now=now + timedelta(minutes=16)).code == skewed
    assert refused(request, now=now - timedelta(minutes=16)).code == skewed
    verified(request, now=now + timedelta(minutes=14))
    error = refused(with_header(request, b"authorization", None))
    assert error.code == unsigned
    assert error.route is not None
    assert error.route.service == service


@pytest.mark.parametrize("service", ["batch", "s3"])
def test_another_region_is_named_beside_ours(service: str) -> None:
    operation = "list_buckets" if service == "s3" else "describe_job_queues"
    error = refused(caught(service, operation, region="ap-south-1"))
    assert "ap-south-1" in error.message
    assert REGION in error.message
    if service == "s3":
        assert error.members["Region"] == REGION


def test_services_without_regions_may_be_signed_for_us_east_1() -> None:
    verified(caught("iam", "list_users", region="us-east-1"))


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Bearer x", "AWS4-HMAC-SHA256"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "'SignedHeaders'"),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=ab", "5 slash-delimited"),
        ("AWS4-HMAC-SHA256", "'Credential'"),
        ("", "AWS4-HMAC-SHA256"),
    ],
)
def test_an_authorization_that_cannot_be_read_says_what_it_needs(
    authorization: str, said: str
) -> None:
    request = with_header(
        caught("batch", "describe_job_queues"), b"authorization", authorization.encode()
    )
    error = refused(request)
    assert error.code == "IncompleteSignature"
    assert said in error.message


def test_the_order_of_the_authorization_does_not_matter() -> None:
    request = caught("batch", "describe_job_queues")
    text = (request.header(b"authorization") or b"").decode()
    algorithm, _, rest = text.partition(" ")
    turned = ",".join(reversed(rest.split(", ")))
    verified(with_header(request, b"authorization", f"{algorithm} {turned}".encode()))


def test_host_must_be_signed() -> None:
    request = caught("batch", "describe_job_queues")
    text = (request.header(b"authorization") or b"").replace(b"host;", b"")
    assert (
        "'Host' must be a 'SignedHeader'"
        in refused(with_header(request, b"authorization", text)).message
    )


@pytest.mark.parametrize("stamp", [b"yesterday", b"20241301T000000Z", b"20240101T000000"])
def test_a_date_that_is_none_is_refused(stamp: bytes) -> None:
    request = with_header(caught("batch", "describe_job_queues"), b"x-amz-date", stamp)
    assert refused(request).code == "IncompleteSignatureException"


def test_a_request_without_any_date_is_refused() -> None:
    request = with_header(caught("batch", "describe_job_queues"), b"x-amz-date", None)
    assert "X-Amz-Date" in refused(request).message


def test_s3_finds_another_body_than_the_signed_one() -> None:
    request = caught("s3", "put_object", Bucket="b", Key="k", Body=b"right")
    error = refused(replace(request, body=b"wrong"))
    assert error.code == "XAmzContentSHA256Mismatch"
    assert refused(request, body_sha256="0" * 64).code == "XAmzContentSHA256Mismatch"


def test_what_a_client_escapes_less_than_aws_is_still_its_own_path() -> None:
    """curl --aws-sigv4 and some SDKs send parentheses as they are but sign them escaped."""
    request = HttpRequest("GET", b"/bucket/a(b)", b"x=(1)", [])
    assert ("/bucket/a%28b%29", "x=%281%29") in canonical.forms(request, "s3")
    assert next(iter(canonical.forms(request, "s3"))) == ("/bucket/a(b)", "x=(1)")


def test_a_claim_tells_who_without_a_check() -> None:
    claim = read_claim(caught("batch", "describe_job_queues"))
    assert claim is not None
    assert (claim.access_key, claim.region, claim.service) == (ACCESS_KEY, REGION, "batch")
    assert read_claim(HttpRequest("GET", b"/", b"", [])) is None


def test_a_stream_of_bytes_is_signed_like_bytes() -> None:
    verified(caught("s3", "put_object", Bucket="b", Key="k", Body=io.BytesIO(b"x" * 70000)))
