"""Made-up parameters and results for any shape, and requests that botocore writes from them."""

from __future__ import annotations

import functools
import gzip
import json
import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.model import OperationModel
from botocore.model import ServiceModel as BotocoreModel
from botocore.serialize import SERIALIZERS

from tidemill.wire.model import Ref, ServiceModel, Shape, load
from tidemill.wire.request import HttpRequest
from tidemill.wire.service import PROFILES

WORDS = ("a", "Tide mill", "x/y", "1.5", "naïve", "日本", 'q"u&o<t>e', "0", "a,b", "%41", "=;+")
PLAIN = ("a", "tide-mill", "1.5", "0", "x.y_z")
DEPTH_MAX = 4
# SQS's query protocol cannot be written by botocore any more: test_sqs_query has it.
PROTOCOLS = {"sqs": ["json"]}


SHADOWED = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}
"""Operations of S3 that are the same request as another, which is the one in use."""
ELSEWHERE = {"WriteGetObjectResponse"}
"""Operations that go to hosts of their own."""


class Maker:
    """Values for shapes: all required members, some of the others."""

    def __init__(self, model: ServiceModel, seed: str, largest: float = math.inf) -> None:
        self.model = model
        self.largest = largest
        self.random = random.Random(seed)

    def make(self, ref: Ref, depth: int = 0, words: tuple[str, ...] = WORDS) -> Any:
        shape = self.model.shape(ref)
        if shape.document:
            return {"any": [1, None, "thing"]}
        pick = self.random
        match shape.type:
            case "structure":
                return self.structure(shape, depth)
            case "list":
                assert shape.member is not None
                count = 0 if depth > DEPTH_MAX else pick.randint(1, 3)
                return [self.make(shape.member, depth + 1, words) for _ in range(count)]
            case "map":
                assert shape.value is not None
                count = 0 if depth > DEPTH_MAX else pick.randint(1, 3)
                keys = pick.sample(PLAIN, count)
                return {key: self.make(shape.value, depth + 1, words) for key in keys}
            case "string" | "character":
                return pick.choice(shape.enum or words)
            case "integer":
                return pick.choice((0, 1, -7, 2**31 - 1))
            case "long":
                return pick.choice((0, 1, 2**53 + 1, -(2**63)))
            case "float" | "double":
                return pick.choice((0.0, 1.5, -2.25, 1e300, self.largest))
            case "boolean":
                return pick.choice((True, False))
            case "timestamp":
                return datetime(2024, 2, 29, pick.randint(0, 23), 59, 58, tzinfo=UTC)
            case "blob":
                return pick.choice((b"bytes", bytes(range(256)), b"0"))
        raise AssertionError(shape.type)

    def structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        names = list(shape.members)
        if shape.union:
            names = [self.random.choice(names)]
        value = {}
        for name in names:
            member = shape.members[name]
            is_wanted = name in shape.required or shape.union or self.random.random() < 0.6
            if (depth > DEPTH_MAX and name not in shape.required and not shape.union) or (
                not is_wanted or self.model.shape(member).eventstream
            ):
                continue
            in_header = member.location in ("header", "headers")
            value[name] = self.make(member, depth + 1, PLAIN if in_header else WORDS)
        return value


@functools.cache
def botocore_model(service: str, protocol: str) -> BotocoreModel:
    # Not through botocore's loader: it adds extras of the SDK, which are not on the wire.
    folder = Path(botocore.__file__).parent / "data" / service
    path = sorted(folder.glob("*/service-2.json.gz"))[-1]
    description = json.loads(gzip.decompress(path.read_bytes()))
    description["metadata"] = {**description["metadata"], "protocol": protocol}
    return BotocoreModel(description, service)


def operations() -> list[Any]:
    return [
        pytest.param(profile.name, protocol, name, id=f"{protocol}/{name}")
        for profile in PROFILES
        for protocol in PROTOCOLS.get(profile.name, load(profile.name).protocols)
        for name in load(profile.name).operations
        if name not in ELSEWHERE
    ]


def written(model: BotocoreModel, operation: OperationModel, params: dict[str, Any]) -> HttpRequest:
    """The request as it goes over the wire."""
    serializer = SERIALIZERS[model.metadata["protocol"]]()
    request_dict = serializer.serialize_to_request(params, operation)
    prepare_request_dict(request_dict, "http://127.0.0.1:5057", {})
    prepared = create_request_object(request_dict).prepare()
    path, _, query = prepared.url.removeprefix("http://127.0.0.1:5057").partition("?")
    headers = [
        (n.lower().encode(), v if isinstance(v, bytes) else str(v).encode())
        for n, v in prepared.headers.items()
    ]
    body = prepared.body or b""
    body = body if isinstance(body, bytes) else body.encode()
    return HttpRequest(prepared.method, path.encode(), query.encode(), headers, body)
