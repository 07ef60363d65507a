"""Every operation of every served service, in every protocol it is served in, both ways.

botocore's serializer writes a request from made-up parameters and our parser reads it; our
serialiser writes an answer from a made-up result and botocore's parser reads it.
"""

from __future__ import annotations

import io
from datetime import UTC
from typing import Any

import pytest
from botocore.parsers import PROTOCOL_PARSERS
from botocore.utils import parse_timestamp

from tidemill.wire.model import load
from tidemill.wire.parse import decode
from tidemill.wire.route import CBOR, Route, identify, resolve
from tidemill.wire.serialize import serialize
from tidemill.wire.service import BY_NAME

from .sample import SHADOWED, Maker, botocore_model, operations, written

RUNS = 3


@pytest.mark.parametrize(("service", "protocol", "name"), operations())
def test_request_is_read(service: str, protocol: str, name: str) -> None:
    model = load(service)
    theirs = botocore_model(service, protocol)
    for run in range(RUNS):
        ref = model.operations[name].input
        params = {} if ref is None else Maker(model, f"{service}{name}{run}").make(ref)
        request = written(theirs, theirs.operation_model(name), params)
        route = identify(request, BY_NAME[service].signing_name)
        if service == "s3" and name in SHADOWED:
            assert route.operation == SHADOWED[name]
            continue
        assert (route.operation, route.protocol) == (name, protocol)
        found = decode(route, request)
        for length in {"ContentLength"} - set(params):
            found.pop(length, None)
        assert pruned(found) == pruned(params)


def pruned(value: Any) -> Any:
    """`value` without empty lists, maps and structures, which not every protocol can tell."""
    if isinstance(value, dict):
        kept = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(pruned, value) if item not in ({}, [])]
    return value


class Headers(dict[str, str]):
    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def read_back(route: Route, result: dict[str, Any]) -> dict[str, Any]:
    answer = serialize(route, result, "request-1")
    theirs = botocore_model(route.service, route.protocol)
    shape = theirs.operation_model(route.operation).output_shape
    if route.protocol == "query" and shape is not None:
        shape.serialization.setdefault("resultWrapper", f"{route.operation}Result")
    parser = PROTOCOL_PARSERS[route.protocol](
        timestamp_parser=lambda value: parse_timestamp(value).astimezone(UTC)
    )
    stream = None
    if shape is not None and (payload := shape.serialization.get("payload")):
        stream = payload if shape.members[payload].type_name in ("blob", "string") else None
    parsed = parser.parse(
        {
            "status_code": answer.status,
            "headers": Headers((n.decode(), v.decode("latin-1")) for n, v in answer.headers),
            "body": io.BytesIO(answer.body) if stream else answer.body,
            "context": {"operation_name": route.operation},
        },
        shape,
    )
    if stream:
        parsed[stream] = parsed[stream].read()
    metadata = parsed.pop("ResponseMetadata")
    assert metadata.get("RequestId", "request-1") == "request-1"
    return dict(parsed)


@pytest.mark.parametrize(("service", "protocol", "name"), operations())
def test_answer_is_written(service: str, protocol: str, name: str) -> None:
    model = load(service)
    route = resolve(model, protocol, name)
    ref = model.operations[name].output
    if name in SHADOWED:
        return
    if ref is None:
        assert read_back(route, {}) == {}
        return
    shape = model.shape(ref)
    if any(model.shape(member).eventstream for member in shape.members.values()):
        return  # test_event_stream has these
    for run in range(RUNS):
        # botocore leaves infinity in JSON as the text that it is.
        result = Maker(model, f"{service}{name}{run}", largest=1e308).make(ref)
        for member, use in shape.members.items():
            if use.location == "statusCode":
                result[member] = 202
        parsed = read_back(route, result)
        if (service, name) == ("s3", "GetBucketLocation"):
            parsed = result  # botocore reads its root in a handler of the client
        if shape.payload is not None and isinstance(result.get(shape.payload), str):
            result[shape.payload] = result[shape.payload].encode()
        assert pruned({n: v for n, v in parsed.items() if n in result}) == pruned(result)


def test_cbor_is_cloudwatch_s_first_protocol() -> None:
    assert load("cloudwatch").protocols == [CBOR, "json", "query"]
