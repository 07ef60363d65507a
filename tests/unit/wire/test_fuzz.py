"""Requests that are broken in every way: each is read, or refused with a 4xx; nothing else.

Made from requests of every operation that are right, by breaking bytes, values, names and places.
The seed is fixed; TIDEMILL_FUZZ multiplies the number of requests.
"""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime
from typing import Any

import boto3
import cbor2
import pytest
from botocore.config import Config

from tidemill.wire.error import WireError
from tidemill.wire.model import load
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import CBOR, identify
from tidemill.wire.serialize import serialize_error
from tidemill.wire.service import BY_NAME, PROFILES
from tidemill.wire.sign import verify

from .client import REGION, SECRET_KEY, caught, received
from .sample import ELSEWHERE, PROTOCOLS, Maker, botocore_model, written

MULTIPLE = int(os.environ.get("TIDEMILL_FUZZ", "1"))
BREAKS_PER_OPERATION = 7 * MULTIPLE

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**70), 10**400, 1e308, "", "a", "NaN",
    "Infinity", "not base64!", "é" * 3000, "x" * 70000, "\x00", "2024-13-45T99:99:99Z",
    [], {}, [None], [[]], {"": None}, {"a": {"b": [1]}}, [1, "a", None, {}], [[[[[[[[[]]]]]]]]],
)  # fmt: skip
TEXT_JUNK = (
    b"", b"\xff\xfe", b"%", b"%zz", b"%ff", b"..", b"/", b"-1", b"1e999", b"NaN", b"9" * 400,
    b"null", b"true", b"a" * 5000, b"\x00", b"2024-02-30", b"Mon, 99 Foo 2024 00:00:00 GMT", b'"',
    b"99999999999999999999", b",,,", b'"a', b"\xc3\x28",
)  # fmt: skip
BODY_JUNK = (
    b"", b"null", b"[]", b'""', b"{", b"[" * 100_000, b'{"a":' * 5000, b"\xff", b"NaN", b"0" * 9000,
    b"<", b"<a/>", b"<a>" * 5000, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>&b;</a>",
    b"Action=", b"a=%ff", b"a." * 500 + b"=1", b"\xbf" * 3000, b"\x9f" * 3000, b"\xd8\x23\x61(",
    b"\xc1\xfb\x7f\xf8\0\0\0\0\0\0", b"\xa1\x01\x02", b'{"a":"\\ud800"}', b"\x1b" + b"\xff" * 8,
    b'<?xml version="1.0" encoding="utf-16"?><a/>', b"\xef\xbb\xbf{}",
)  # fmt: skip


def broken_tree(tree: Any, pick: random.Random) -> Any:
    """`tree` with one node replaced by junk, or put one deeper, or with a name changed."""
    if isinstance(tree, dict) and tree and pick.random() < 0.8:
        key = pick.choice(list(tree))
        value = broken_tree(tree[key], pick)
        rest = {k: v for k, v in tree.items() if k != key}
        return rest if pick.random() < 0.1 else {**rest, key: value}
    if isinstance(tree, list) and tree and pick.random() < 0.8:
        place = pick.randrange(len(tree))
        return [*tree[:place], broken_tree(tree[place], pick), *tree[place + 1 :]]
    return pick.choice([*JUNK, [tree], {"a": tree}])


def broken_bytes(data: bytes, pick: random.Random) -> bytes:
    place = pick.randrange(len(data) + 1)
    junk = pick.choice([*TEXT_JUNK, bytes([pick.randrange(256)])])
    return data[:place] + junk + data[place + pick.choice((0, 1, 5)) :]


def broken_body(body: bytes, protocol: str, pick: random.Random) -> bytes:
    way = pick.random()
    if way < 0.2 or not body:
        return pick.choice(BODY_JUNK)
    if way < 0.7 and protocol in ("json", "rest-json", CBOR):
        try:
            if protocol == CBOR:
                return cbor2.dumps(broken_tree(cbor2.loads(body), pick))
            return json.dumps(broken_tree(json.loads(body), pick)).encode()
        except (ValueError, cbor2.CBORError):
            pass
    return broken_bytes(body, pick)


def broken(request: HttpRequest, protocol: str, pick: random.Random) -> HttpRequest:
    headers = list(request.headers)
    path, query, body = request.raw_path, request.query, request.body
    place = pick.random()
    if place < 0.6:
        body = broken_body(body, protocol, pick)
    elif place < 0.75:
        query = broken_bytes(query, pick)
    elif place < 0.85:
        path = b"/" + broken_bytes(path[1:], pick)
    elif headers:
        at = pick.randrange(len(headers))
        name, value = headers[at]
        headers[at] = (name, pick.choice([*TEXT_JUNK, broken_bytes(value, pick)]))
    return HttpRequest(request.method, path, query, headers, body)


@pytest.mark.parametrize(
    ("service", "protocol"),
    [
        (p.name, protocol)
        for p in PROFILES
        for protocol in PROTOCOLS.get(p.name, load(p.name).protocols)
    ],
)
def test_broken_requests_are_read_or_refused(service: str, protocol: str) -> None:
    pick = random.Random(f"{service}{protocol}")
    model = load(service)
    theirs = botocore_model(service, protocol)
    refused = 0
    for name, operation in model.operations.items():
        if name in ELSEWHERE:
            continue
        maker = Maker(model, name)
        for _ in range(BREAKS_PER_OPERATION):
            params = maker.make(operation.input) if operation.input is not None else {}
            right = written(theirs, theirs.operation_model(name), params)
            for _ in range(4):
                refused += is_refused(broken(right, protocol, pick), BY_NAME[service].signing_name)
    assert refused > len(model.operations)


def presigned(version: str) -> HttpRequest:
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:5057",
        region_name=REGION,
        aws_access_key_id="AKIA",
        aws_secret_access_key=SECRET_KEY,
        config=Config(signature_version=version),
    )
    url = client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    return received("GET", url, {})


@pytest.mark.parametrize("kind", ["header", "s3", "s3v4"])
def test_broken_signatures_are_refused(kind: str) -> None:
    pick = random.Random(kind)
    right = caught("batch", "describe_jobs", jobs=["a"]) if kind == "header" else presigned(kind)
    now = datetime.now(UTC)
    verify(right, lambda *_: SECRET_KEY, REGION, now)
    for _ in range(1500 * MULTIPLE):
        request = broken(right, "rest-json", pick)
        try:
            verify(request, lambda *_: SECRET_KEY, REGION, now)
        except WireError as error:
            answer = serialize_error(
                error.route, error.code, error.message, "request-1", error.members
            )
            assert 400 <= answer.status < 500, (error, answer)


def test_requests_from_nowhere_are_routed_or_refused() -> None:
    pick = random.Random(1)
    names = (b"x-amz-target", b"smithy-protocol", b"content-type", b"host", b"authorization")
    for _ in range(2000 * MULTIPLE):
        headers = [(name, pick.choice(TEXT_JUNK)) for name in names if pick.random() < 0.3]
        path = b"/" + pick.choice(
            [b"", b"a", b"v1/submitjob", b"service/a/operation/b", *TEXT_JUNK]
        )
        query = pick.choice([b"", b"Action=a", b"Action=%ff", b"Version=1&Action=", *TEXT_JUNK])
        method = pick.choice(["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "BREW"])
        request = HttpRequest(method, path, query, headers, pick.choice(BODY_JUNK))
        is_refused(request, pick.choice([None, *(p.signing_name for p in PROFILES)]))


def is_refused(request: HttpRequest, signing_name: str | None) -> bool:
    route = None
    try:
        route = identify(request, signing_name)
        params = parse(route, request)
    except WireError as error:
        answer = serialize_error(
            error.route or route, error.code, error.message, "request-1", error.members
        )
        assert 400 <= answer.status < 500, (error, answer)
        assert error.message.strip()
        return True
    assert isinstance(params, dict)
    return False
