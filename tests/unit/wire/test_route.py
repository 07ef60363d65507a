"""Which operation a request asks for, and what is said when it asks for none."""

from __future__ import annotations

import pytest

from tidemill.wire.error import WireError
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import identify

FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


def request(method: str, uri: str, *headers: tuple[bytes, bytes], body: bytes = b"") -> HttpRequest:
    path, _, query = uri.partition("?")
    return HttpRequest(method, path.encode(), query.encode(), list(headers), body)


@pytest.mark.parametrize(
    ("asked", "operation"),
    [
        ("GET /", "ListBuckets"),
        ("PUT /b", "CreateBucket"),
        ("HEAD /b/", "HeadBucket"),
        ("DELETE /b", "DeleteBucket"),
        ("GET /b", "ListObjects"),
        ("GET /b?list-type=2&prefix=", "ListObjectsV2"),
        ("GET /b?versions", "ListObjectVersions"),
        ("GET /b?uploads=", "ListMultipartUploads"),
        ("GET /b?location", "GetBucketLocation"),
        ("GET /b?inventory", "ListBucketInventoryConfigurations"),
        ("GET /b?inventory&id=1", "GetBucketInventoryConfiguration"),
        ("GET /b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("POST /b?delete", "DeleteObjects"),
        ("GET /b/k?x-id=GetObject", "GetObject"),
        ("HEAD /b/k", "HeadObject"),
        ("PUT /b/k", "PutObject"),
        ("PUT /b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("POST /b/k?uploads", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=u", "CompleteMultipartUpload"),
        ("GET /b/k?uploadId=u", "ListParts"),
        ("DELETE /b/k?uploadId=u", "AbortMultipartUpload"),
        ("GET /b/k?attributes", "GetObjectAttributes"),
        ("PUT /b/k?tagging", "PutObjectTagging"),
    ],
)
def test_s3_s_operations_are_told_apart(asked: str, operation: str) -> None:
    assert identify(request(*asked.split(" ")), "s3").operation == operation


def test_a_copy_is_told_by_its_header() -> None:
    source = (b"x-amz-copy-source", b"/b/k")
    assert identify(request("PUT", "/b/k", source), "s3").operation == "CopyObject"
    part = request("PUT", "/b/k?partNumber=1&uploadId=u", source)
    assert identify(part, "s3").operation == "UploadPartCopy"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/k", "k"),
        ("/b//k", "/k"),
        ("/b/a//b/", "a//b/"),
        ("/b/../x", "../x"),
        ("/b/%2E%2e/%2F?x=1", "..//"),
        ("/b/%E6%97%A5+%25", "日+%"),
        ("/b/" + "k" * 1024, "k" * 1024),
    ],
)
def test_any_key_is_read_as_it_is(path: str, key: str) -> None:
    asked = request("GET", path)
    assert parse(identify(asked, "s3"), asked) == {"Bucket": "b", "Key": key}


@pytest.mark.parametrize(
    ("host", "bucket", "key"),
    [
        (b"my.bucket.localhost:5057", "my.bucket", "b/k"),
        (b"bucket.s3.localhost", "bucket", "b/k"),
        (b"s3.localhost:5057", "b", "k"),
        (b"localhost:5057", "b", "k"),
        (b"127.0.0.1:5057", "b", "k"),
        (b"evil.localhost.example.com", "b", "k"),
    ],
)
def test_a_bucket_may_stand_in_the_host(host: bytes, bucket: str, key: str) -> None:
    asked = request("GET", "/b/k", (b"host", host))
    assert parse(identify(asked, "s3"), asked) == {"Bucket": bucket, "Key": key}


def test_a_presigned_url_carries_headers_in_its_query() -> None:
    query = "X-Amz-Signature=s&X-Amz-Date=d&x-amz-meta-a=b%20c&x-amz-checksum-crc32=AAAAAA%3D%3D"
    asked = request("PUT", f"/b/k?{query}", (b"x-amz-acl", b"private"))
    params = parse(identify(asked, "s3"), asked)
    assert params == {"Bucket": "b", "Key": "k", "ACL": "private", "Metadata": {"a": "b c"}}
    unsigned = request("PUT", "/b/k?x-amz-meta-a=b")
    assert "Metadata" not in parse(identify(unsigned, "s3"), unsigned)


def test_half_a_part_upload_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(WireError, match="UploadPart also needs 'uploadId'"):
        identify(request("PUT", "/b/k?partNumber=1"), "s3")


@pytest.mark.parametrize(
    ("scope", "asked", "service", "protocol", "operation"),
    [
        ("batch", request("POST", "/v1/submitjob"), "batch", "rest-json", "SubmitJob"),
        (None, request("POST", "/v1/submitjob"), "batch", "rest-json", "SubmitJob"),
        (None, request("GET", "/bucket/key"), "s3", "rest-xml", "GetObject"),
        (
            "states",
            request("POST", "/", (b"x-amz-target", b"AWSStepFunctions.ListExecutions")),
            "stepfunctions",
            "json",
            "ListExecutions",
        ),
        (
            "sqs",
            request("POST", "/", FORM, body=b"Action=ListQueues&Version=2012-11-05"),
            "sqs",
            "query",
            "ListQueues",
        ),
        (
            None,
            request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15"),
            "sts",
            "query",
            "GetCallerIdentity",
        ),
        (
            "monitoring",
            request(
                "POST",
                "/service/GraniteServiceVersion20100801/operation/ListMetrics",
                (b"smithy-protocol", b"rpc-v2-cbor"),
            ),
            "cloudwatch",
            "smithy-rpc-v2-cbor",
            "ListMetrics",
        ),
        (
            "monitoring",
            request("POST", "/", (b"x-amz-target", b"GraniteServiceVersion20100801.ListMetrics")),
            "cloudwatch",
            "json",
            "ListMetrics",
        ),
        ("lambda", request("GET", "/2015-03-31/functions"), "lambda", "rest-json", "ListFunctions"),
    ],
)
def test_every_protocol_is_recognised(
    scope: str | None, asked: HttpRequest, service: str, protocol: str, operation: str
) -> None:
    route = identify(asked, scope)
    assert (route.service, route.protocol, route.operation) == (service, protocol, operation)


@pytest.mark.parametrize(
    ("scope", "asked", "code", "said"),
    [
        ("dynamodb", request("POST", "/"), "UnknownService", "may be one of batch"),
        (
            "batch",
            request("GET", "/v1/submitjob"),
            "UnknownOperationException",
            "it has POST there",
        ),
        ("batch", request("POST", "/v1/nothing"), "UnknownOperationException", "POST /v1/nothing"),
        ("s3", request("PATCH", "/b"), "MethodNotAllowed", "PATCH /b"),
        ("events", request("POST", "/"), "UnknownOperationException", "X-Amz-Target"),
        ("iam", request("POST", "/"), "MissingAction", "Action"),
        (
            "sqs",
            request("POST", "/", (b"x-amz-target", b"AmazonSQS.Nothing")),
            "UnknownOperationException",
            "sqs has no operation Nothing",
        ),
        (
            "states",
            request("POST", "/", (b"x-amz-target", b"AmazonSQS.ListQueues")),
            "InvalidSignatureException",
            "correct service: 'sqs', not 'states'",
        ),
        (
            "iam",
            request("POST", "/", FORM, body=b"Action=Nothing&Version=2010-05-08"),
            "InvalidAction",
            "Nothing for version 2010-05-08",
        ),
        (
            "monitoring",
            request("POST", "/service/X/operation/Y", (b"smithy-protocol", b"rpc-v2-json")),
            "UnknownOperationException",
            "rpc-v2-cbor",
        ),
    ],
)
def test_what_asks_for_nothing_is_told_what_would_be_right(
    scope: str, asked: HttpRequest, code: str, said: str
) -> None:
    with pytest.raises(WireError) as error:
        identify(asked, scope)
    assert error.value.code == code
    assert said in error.value.message


def test_repeated_headers_are_joined() -> None:
    asked = request("GET", "/", (b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert asked.header(b"a") == b"1,3"
    assert asked.header_map == {b"a": b"1,3", b"b": b"2"}
