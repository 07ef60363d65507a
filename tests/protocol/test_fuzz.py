"""Requests broken in every way, sent to a real server over raw sockets.

Each gets a 4xx (what is no HTTP may have its connection closed), never a 5xx; the server's state
is afterwards what it was before, and its log has nothing to say. Made from botocore's models with
a fixed seed; TIDEMILL_FUZZ multiplies the number of requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.unit.wire.sample import ELSEWHERE, Maker, botocore_model, written
from wire_talk import Answer, Sent, Talk, as_bytes

from tidemill.sdk.local import LocalServer, local
from tidemill.wire.model import Ref, ServiceModel, load

MULTIPLE = int(os.environ.get("TIDEMILL_FUZZ", "1"))
CONNECTIONS = 4
JSON_BREAKS = 24 * MULTIPLE
S3_BREAKS = 14 * MULTIPLE
STS_BREAKS = 40 * MULTIPLE
NOISES = 400 * MULTIPLE
FORGERIES = 500 * MULTIPLE

READS = ("Describe", "List", "Get", "Head", "Filter", "Test", "Select")
SYNTAX = (
    b"{", b"[", b'"', b"nul", b"{]", b'{"a":}', b'{"a" 1}', b"\xff\xfe{}", b"[" * 50_000,
    b'{"a":' * 20_000, b"<a/>", b"\x00", b"{}{}", b"'{}'", b"\x1f\x8b\x08\x00junk",
)  # fmt: skip
XML = (
    b"<", b"<a>", b"<Delete>", b"<Delete><Object></Object></Delete>", b"<a>" * 20_000, b"{}",
    b'<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>',
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
    b"\xff\xfe\x00<", b"&amp;", b"<a><b></a></b>",
)  # fmt: skip
VALUES = (
    b"",
    b"-1",
    b"x",
    b"%zz",
    b"%00",
    b"9" * 30,
    b"1e9",
    b"\xff",
    b"a" * 3000,
    b"0x1",
    b"null",
)
S3_HEADERS = (
    b"content-md5", b"x-amz-content-sha256", b"x-amz-checksum-crc32", b"x-amz-copy-source",
    b"x-amz-decoded-content-length", b"range", b"if-match", b"x-amz-sdk-checksum-algorithm",
    b"x-amz-server-side-encryption-customer-key", b"x-amz-object-lock-retain-until-date",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A server that takes unsigned requests, with something of everything in it."""
    with local("--auth", "off") as started:
        _fill(started)
        yield started


def _fill(server: LocalServer) -> None:
    s3, batch, logs = server.client("s3"), server.client("batch"), server.client("logs")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="object", Body=b"as it was")
    logs.create_log_group(logGroupName="kept")
    batch.create_scheduling_policy(name="kept", fairsharePolicy={})
    batch.create_consumable_resource(consumableResourceName="kept", totalQuantity=5)
    definition = batch.register_job_definition(
        jobDefinitionName="kept",
        type="container",
        containerProperties={
            "image": "busybox",
            "command": ["true"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1000"},
                {"type": "MEMORY", "value": "64"},
            ],
        },
    )
    batch.submit_job(
        jobName="waiting", jobQueue="default", jobDefinition=definition["jobDefinitionArn"]
    )


def state_of(server: LocalServer) -> dict[str, Any]:
    """Everything that a request could have changed."""
    s3, batch, logs = server.client("s3"), server.client("batch"), server.client("logs")
    everything = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    return {
        "jobs": batch.list_jobs(jobQueue="default", filters=everything)["jobSummaryList"],
        "queues": batch.describe_job_queues()["jobQueues"],
        "environments": batch.describe_compute_environments()["computeEnvironments"],
        "definitions": batch.describe_job_definitions()["jobDefinitions"],
        "policies": batch.list_scheduling_policies()["schedulingPolicies"],
        "resources": batch.list_consumable_resources()["consumableResources"],
        "objects": {name: s3.list_objects_v2(Bucket=name).get("Contents", []) for name in buckets},
        "uploads": {
            name: s3.list_multipart_uploads(Bucket=name).get("Uploads") for name in buckets
        },
        "body": s3.get_object(Bucket="kept", Key="object")["Body"].read(),
        "groups": logs.describe_log_groups()["logGroups"],
    }


@pytest.fixture
def unchanged(server: LocalServer) -> Iterator[None]:
    """Holds that a test changes nothing, and that the server's log stays silent."""
    before, said = state_of(server), server.output()
    yield
    assert state_of(server) == before
    assert server.output() == said


def answers_of(server: LocalServer, requests: Sequence[Sent]) -> list[Answer]:
    """The answers to all requests, over several connections at once."""

    async def ask() -> list[Answer]:
        talks = [_talk(server) for _ in range(CONNECTIONS)]
        parts = [requests[start::CONNECTIONS] for start in range(CONNECTIONS)]
        asked = await asyncio.gather(
            *(talk.ask_all(part) for talk, part in zip(talks, parts, strict=True))
        )
        for talk in talks:
            await talk.close()
        answers: list[Answer] = [Answer(-1)] * len(requests)
        for start, got in enumerate(asked):
            answers[start::CONNECTIONS] = got
        return answers

    return asyncio.run(ask())


def _talk(server: LocalServer) -> Talk:
    place = urlsplit(server.endpoint)
    assert place.hostname is not None
    assert place.port is not None
    return Talk(place.hostname, place.port)


def check(server: LocalServer, requests: Sequence[Sent]) -> Counter[int]:
    """Hold every answer to be a refusal; how often each status was given."""
    seen: Counter[int] = Counter()
    for sent, answer in zip(requests, answers_of(server, requests), strict=True):
        seen[answer.status] += 1
        is_right = 400 <= answer.status < 500 or (sent.may_pass and 200 <= answer.status < 400)
        # S3's own answer to what it does not offer, whatever else is wrong with the request.
        is_right |= answer.status == 501 and b"<Code>NotImplemented</Code>" in answer.body
        assert is_right, f"{sent.told}\n{sent.data[:2000]!r}\n-> {answer.status} {answer.body!r}"
        if answer.status >= 400 and sent.method != "HEAD":
            assert answer.body, f"{sent.told}: a refusal says why"
    return seen


def claim(service: str) -> tuple[bytes, bytes]:
    """A signature that is none: without keys it only says which service is meant."""
    scope = f"AKIAANYBODY/20240101/us-east-1/{service}/aws4_request"
    return (
        b"authorization",
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0".encode(),
    )


# JSON: Batch and Logs


class JsonBreaker:
    """Breaks what an operation takes so that no reading of the model could make it right."""

    def __init__(self, service: str, name: str, pick: random.Random) -> None:
        self.model = load(service)
        self.name = name
        self.pick = pick
        operation = self.model.operations[name]
        theirs = botocore_model(service, self.model.protocols[0])
        params = Maker(self.model, f"{name}{pick.random()}").make(operation.input)
        self.request = written(theirs, theirs.operation_model(name), params)
        self.headers = [
            *(pair for pair in self.request.headers if pair[0] != b"content-length"),
            claim(service),
        ]
        self.input: Ref = operation.input  # type: ignore[assignment] - all of these have one
        self.body = json.loads(self.request.body or b"{}")

    def broken(self) -> Sent:
        """One broken request."""
        ways: list[Callable[[], bytes | None]] = [
            self.mistyped, self.mistyped, self.mistyped, self.incomplete, self.oversized,
            self.truncated,
        ]  # fmt: skip
        body = self.pick.choice(ways)() or self.pick.choice(SYNTAX)
        method = self.request.method
        has_body = bool(json.loads(self.request.body or b"{}"))
        return Sent(
            as_bytes(method, self._target(), self._headers(), body),
            self.name,
            method,
            may_pass=self.name.startswith(READS) or not has_body,
        )

    def _target(self) -> bytes:
        query = self.request.query
        return self.request.raw_path + (b"?" + query if query else b"")

    def _headers(self) -> list[tuple[bytes, bytes]]:
        """Sometimes with a wrong content type, which makes a broken body no better."""
        headers = self.headers
        if self.pick.random() < 0.2:
            kind = self.pick.choice((b"text/xml", b"", b"a/b; charset=utf-16", b"\xff"))
            headers = [pair for pair in headers if pair[0].lower() != b"content-type"]
            headers = [*headers, (b"content-type", kind)]
        return headers

    def mistyped(self) -> bytes | None:
        """A member of another type than the model's."""
        if not self.body:
            return None
        wire_name = self.pick.choice(list(self.body))
        wrong = self._wrong(wire_name)
        return None if wrong is None else json.dumps({**self.body, wire_name: wrong}).encode()

    def _wrong(self, wire_name: str) -> Any:
        shape = self.model.shape(self.input)
        for name, member in shape.members.items():
            if wire_name == self.model.wire_name(member, name):
                kind = self.model.shape(member)
                if kind.document:
                    return None
                scalars = ([], {"a": [1]}, [[[]]])
                others = ("text", 7, True, "[]")
                is_nested = kind.type in ("structure", "list", "map")
                wrong = self.pick.choice(others if is_nested else scalars)
                return [wrong] if kind.type == "structure" else wrong
        return None

    def incomplete(self) -> bytes | None:
        """Without a member that is required."""
        shape = self.model.shape(self.input)
        required = [name for name in shape.required if name in self.body]
        if not required:
            return None
        gone = self.pick.choice(required)
        return json.dumps({k: v for k, v in self.body.items() if k != gone}).encode()

    def oversized(self) -> bytes | None:
        """With a text that is longer than the model lets it be."""
        shape = self.model.shape(self.input)
        for name, member in shape.members.items():
            longest = self.model.shape(member).max
            if name in self.body and isinstance(self.body[name], str) and longest:
                text = "x" * (int(longest) + 1)
                return json.dumps({**self.body, name: text}).encode()
        return None

    def truncated(self) -> bytes | None:
        """Cut somewhere, with the length of what is left."""
        whole = json.dumps(self.body).encode()
        return whole[: self.pick.randrange(1, len(whole))]


@pytest.mark.parametrize("service", ["batch", "logs"])
def test_broken_json(service: str, server: LocalServer, unchanged: None) -> None:
    pick = random.Random(service)
    requests = [
        JsonBreaker(service, name, pick).broken()
        for name, operation in load(service).operations.items()
        if operation.input is not None
        for _ in range(JSON_BREAKS if service == "batch" else JSON_BREAKS // 2)
    ]
    pick.shuffle(requests)
    seen = check(server, requests)
    refused = sum(count for status, count in seen.items() if status >= 400)
    assert refused > 0.9 * len(requests), seen


# S3


def test_broken_s3_of_a_bucket_that_is_not_there(server: LocalServer, unchanged: None) -> None:
    pick = random.Random("s3")
    model: ServiceModel = load("s3")
    requests = [
        _broken_s3(model, name, pick)
        for name in model.operations
        if name not in ELSEWHERE and "Bucket" in _members(model, name) and name != "CreateBucket"
        for _ in range(S3_BREAKS)
    ]
    pick.shuffle(requests)
    check(server, requests)


def _members(model: ServiceModel, name: str) -> dict[str, Any]:
    operation = model.operations[name]
    return {} if operation.input is None else dict(model.shape(operation.input).members)


def _broken_s3(model: ServiceModel, name: str, pick: random.Random) -> Sent:
    theirs = botocore_model("s3", "rest-xml")
    params = Maker(model, f"{name}{pick.random()}").make(model.operations[name].input)
    params["Bucket"] = f"no-such-bucket-{pick.randrange(1000)}"
    if "Key" in params:
        params["Key"] = pick.choice(("a", "a//b", "..", "%", "é" * 500, "k" * 1024))
    request = written(theirs, theirs.operation_model(name), params)
    headers = [pair for pair in request.headers if pair[0] != b"content-length"]
    headers = [pair for pair in headers if b"\n" not in pair[1]]
    body, query = request.body, request.query
    assert isinstance(body, bytes)
    way = pick.random()
    if way < 0.4:
        body = pick.choice(XML)
    elif way < 0.7:
        headers.append((pick.choice(S3_HEADERS), pick.choice(VALUES)))
    elif way < 0.8:
        body = body[: len(body) // 2]
    elif "Key" in params:  # a PUT of a bucket with another query could make it
        query += b"&" + pick.choice((b"partNumber", b"max-keys", b"uploadId")) + b"="
        query += pick.choice(VALUES).replace(b"\xff", b"%ff")
    target = request.raw_path + (b"?" + query if query else b"")
    data = as_bytes(request.method, target, [*headers, claim("s3")], body)
    return Sent(data, name, request.method)


def test_broken_s3_of_what_is_there(server: LocalServer, unchanged: None) -> None:
    """The same object is asked for, written and deleted by requests that are all wrong."""
    requests = []
    wrong_digest = [(b"content-md5", b"AAAAAAAAAAAAAAAAAAAAAA=="), (b"x-amz-checksum-crc32", b"AA")]
    for header in wrong_digest:
        requests.append(("PUT", b"/kept/object", [header], b"other"))
    for body in XML:
        requests.append(("POST", b"/kept?delete", [], body))
        requests.append(("POST", b"/kept/object?uploadId=none", [], body))
    for value in VALUES:
        quoted = value.replace(b"\xff", b"%ff")
        requests.append(("PUT", b"/kept/object?uploadId=x&partNumber=" + quoted, [], b"part"))
        requests.append(("DELETE", b"/kept/object?uploadId=" + quoted, [], b""))
    for source in (b"", b"/", b"kept", b"/nowhere/object", b"%zz", b"kept/" + b"a" * 2000):
        requests.append(("PUT", b"/kept/object", [(b"x-amz-copy-source", source)], b""))
    chunked = [(b"x-amz-content-sha256", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER")]
    chunked += [(b"content-encoding", b"aws-chunked"), (b"x-amz-decoded-content-length", b"5")]
    for body in (b"", b"5\r\nother", b"zz\r\nother\r\n", b"5\r\nother\r\n", b"-5\r\n", b"f" * 999):
        requests.append(("PUT", b"/kept/object", chunked, body))
    for name in (b"UPPER", b"a", b"a" * 64, b"127.0.0.1", b"-a-", b"a..b", b"%00%00%00", b"a_b"):
        requests.append(("PUT", b"/" + name, [], b""))
    for body in XML[:3]:
        requests.append(("PUT", b"/another-bucket", [], body))
    sent = [
        Sent(as_bytes(method, target, [*headers, claim("s3")], body), "S3", method)
        for method, target, headers, body in requests
    ]
    check(server, sent)


# STS: query


def test_broken_sts(server: LocalServer, unchanged: None) -> None:
    pick = random.Random("sts")
    model = load("sts")
    requests = []
    for name in model.operations:
        for _ in range(STS_BREAKS):
            theirs = botocore_model("sts", "query")
            params = Maker(model, f"{name}{pick.random()}").make(model.operations[name].input)
            request = written(theirs, theirs.operation_model(name), params)
            body = request.body
            assert isinstance(body, bytes)
            place = pick.randrange(len(body) + 1)
            body = body[:place] + pick.choice(VALUES) + body[place + pick.choice((0, 3)) :]
            headers = [pair for pair in request.headers if pair[0] != b"content-length"]
            headers.append(claim("sts"))
            # STS keeps nothing: what is not broken enough may be answered.
            requests.append(Sent(as_bytes("POST", b"/", headers, body), name, may_pass=True))
    check(server, requests)


# What is hardly HTTP


def _heads() -> list[bytes]:
    """Requests whose HTTP itself is wrong, or that make little sense to any service."""
    put = b"PUT /kept/object HTTP/1.1\r\nhost: a\r\n"
    return [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET " + b"/" * 1_000_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /kept/\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /kept/nothing HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"GET http://[::1/kept HTTP/1.1\r\nhost: a\r\n\r\n",
        b"BREW /kept/object HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        b"PATCH /kept HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        put + b"content-length: x\r\n\r\nother",
        put + b"content-length: -5\r\n\r\nother",
        put + b"content-length: 5\r\ncontent-length: 6\r\n\r\nother!",
        put + b"content-length: 99999999999999999999999\r\n\r\nother",
        put + b"transfer-encoding: chunked\r\n\r\nzz\r\nother\r\n0\r\n\r\n",
        put + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\nother",
        put + b"transfer-encoding: nonsense\r\n\r\nother",
        put + b"a\x00b: c\r\ncontent-length: 5\r\n\r\nother",
        put + b" folded: c\r\ncontent-length: 5\r\n\r\nother",
        b"PUT /kept/object\r\ncontent-length: 5\r\n\r\nother",
    ]


def test_what_is_no_http_changes_nothing(server: LocalServer, unchanged: None) -> None:
    pick = random.Random("noise")
    noises = [pick.randbytes(pick.randrange(1, 3000)) + b"\r\n\r\n" for _ in range(NOISES)]

    async def hold() -> None:
        talk = _talk(server)
        for data in [*_heads(), *noises]:
            answer = await talk.ask_alone(data, ends=True)
            refused = answer.status == 0 or 400 <= answer.status < 500
            assert refused, f"{data[:300]!r} -> {answer}"

    asyncio.run(hold())


def test_a_request_that_breaks_off_changes_nothing(server: LocalServer, unchanged: None) -> None:
    """The client goes away in the midst of a request that would have been right."""
    whole = [
        as_bytes("PUT", b"/kept/object", [claim("s3")], b"other" * 1000),
        as_bytes("PUT", b"/kept/large", [claim("s3")], bytes(3_000_000)),
        as_bytes(
            "POST",
            b"/",
            [
                claim("logs"),
                (b"x-amz-target", b"Logs_20140328.CreateLogGroup"),
                (b"content-type", b"application/x-amz-json-1.1"),
            ],
            b'{"logGroupName": "another"}',
        ),
        as_bytes(
            "POST", b"/v1/createjobqueue", [claim("batch")], b'{"jobQueueName":"q","priority":1}'
        ),
    ]
    pick = random.Random("breaking off")

    async def hold() -> None:
        talk = _talk(server)
        for data in whole:
            for _ in range(12 * MULTIPLE):
                part = data[: pick.randrange(1, len(data))]
                answer = await talk.ask_alone(part, ends=True)
                assert answer.status == 0 or 400 <= answer.status < 500, (part[:200], answer)

    asyncio.run(hold())


# Signatures


def test_forged_signatures_are_refused() -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    pick = random.Random("forgery")
    with local() as server:
        _fill(server)
        before = state_of(server)
        request = AWSRequest("POST", f"{server.endpoint}/v1/createjobqueue", data=b"{}")
        keys = Credentials(server.access_key_id, server.secret_access_key)
        SigV4Auth(keys, "batch", server.region).add_auth(request)
        signed = {n.lower().encode(): v.encode() for n, v in request.headers.items()}
        # The host is part of what is signed.
        signed[b"host"] = urlsplit(server.endpoint).netloc.encode()
        requests = [Sent(_forged(signed, pick), "forged") for _ in range(FORGERIES)]
        seen = check(server, requests)
        assert seen[403] > 0.5 * len(requests), seen
        assert state_of(server) == before
        assert "Traceback" not in server.output()


def _forged(signed: dict[bytes, bytes], pick: random.Random) -> bytes:
    """The signed request with another body, or with something of its signature changed."""
    headers = dict(signed)
    body = b'{"jobQueueName":"forged","priority":1,"computeEnvironmentOrder":[]}'
    name = pick.choice((b"authorization", b"x-amz-date", b"host", b"x-amz-security-token", b""))
    if name:
        value = headers.get(name, b"")
        place = pick.randrange(len(value) + 1)
        junk = pick.choice((b"", b"\xff", b"=", b",", b"/", b"%", b"A" * 2000, b"0"))
        headers[name] = value[:place] + junk + value[place + pick.choice((1, 2, 30)) :]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers.items())
    length = b"content-length: " + str(len(body)).encode()
    return b"POST /v1/createjobqueue HTTP/1.1\r\n" + lines + length + b"\r\n\r\n" + body
