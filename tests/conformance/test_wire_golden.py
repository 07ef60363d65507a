"""The protocols' golden cases: what clients send is read, what is written clients can read.

Inputs are fed to our parser and compared with the parameters they were made from. Outputs are
written by our serialiser and read back by botocore's parser.
"""

from __future__ import annotations

import base64
import copy
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.model import OperationModel
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import PROTOCOL_PARSERS
from botocore.utils import parse_timestamp

from tidemill.wire.fault import serialize_error
from tidemill.wire.model import Ref, ServiceModel
from tidemill.wire.parse import parse
from tidemill.wire.request import HttpRequest, HttpResponse
from tidemill.wire.route import CBOR, Route, resolve, resolve_rest
from tidemill.wire.serialize import serialize

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "protocols"
TOKEN = "00000000-0000-4000-8000-000000000000"
PROTOCOLS = ("json", "json_1_0", "query", "rest-json", "rest-xml", "smithy-rpc-v2-cbor")

_NO_BODY = "the case has headers only, the gzip body is not in it"
_QUOTES = "botocore's parser takes lists in headers apart at every comma"
_ONE_NAME = "botocore's parser finds several flattened lists under the one name of their items"
_EMPTY_UNION = "botocore's parser refuses a union without a member, which is what is to be read"
_MAP_ERASED = "parameters that the client drops, since another member has their name"

LEFT_OUT = {
    "input/json/SDKAppliedContentEncoding_awsJson1_1": _NO_BODY,
    "input/json/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1": _NO_BODY,
    "input/json_1_0/SDKAppliedContentEncoding_awsJson1_0": _NO_BODY,
    "input/json_1_0/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0": _NO_BODY,
    "input/query/SDKAppliedContentEncoding_awsQuery": _NO_BODY,
    "input/query/SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": _NO_BODY,
    "input/rest-json/SDKAppliedContentEncoding_restJson1": _NO_BODY,
    "input/rest-json/SDKAppendedGzipAfterProvidedEncoding_restJson1": _NO_BODY,
    "input/rest-xml/SDKAppliedContentEncoding_restXml": _NO_BODY,
    "input/rest-xml/SDKAppendedGzipAfterProvidedEncoding_restXml": _NO_BODY,
    "input/rest-json/MediaTypeHeaderInputBase64": (
        "the text of a JSON header stands for its value here, as botocore has it for parameters"
    ),
    "input/rest-json/RestJsonQueryParamsStringListMap": (
        "RestJsonAllQueryStringTypes wants bound names in the map, this case wants them left out"
    ),
    "input/rest-json/RestJsonQueryPrecedence": _MAP_ERASED,
    "input/rest-xml/RestXmlQueryPrecedence": _MAP_ERASED,
    "output/query/QueryXmlLists": _ONE_NAME,
    "output/rest-xml/XmlLists": _ONE_NAME,
    "output/rest-json/RestJsonInputAndOutputWithQuotedStringHeaders": _QUOTES,
    "output/rest-json/RestJsonInputAndOutputWithTimestampHeaders": _QUOTES,
    "output/rest-xml/InputAndOutputWithTimestampHeaders": _QUOTES,
    "output/rest-json/RestJsonHttpPayloadWithUnsetUnion": _EMPTY_UNION,
    "output/rest-xml/RestXmlHttpPayloadWithUnsetUnion": _EMPTY_UNION,
}
"""Cases that are left out, each with its reason."""

if not FOLDER.is_dir():
    pytest.skip(f"the golden cases are missing: {FOLDER} is no folder", allow_module_level=True)


def cases(side: str) -> list[Any]:
    found = []
    for protocol in PROTOCOLS:
        for suite in json.loads((FOLDER / side / f"{protocol}.json").read_text("utf-8")):
            for case in suite["cases"]:
                name = f"{side}/{protocol}/{case['id']}"
                reason = LEFT_OUT.get(name)
                marks = [pytest.mark.skip(reason=reason)] if reason else []
                found.append(pytest.param(suite, case, id=name, marks=marks))
    return found


def model_of(suite: dict[str, Any], case: dict[str, Any]) -> ServiceModel:
    description = {
        "metadata": suite["metadata"],
        "shapes": suite["shapes"],
        "operations": {case["given"]["name"]: case["given"]},
    }
    return ServiceModel.from_dict(description, "golden")


def normal(model: ServiceModel, ref: Ref | None, value: Any) -> Any:
    """`value` as the parser would give it: the cases write times, blobs and floats as JSON."""
    if ref is None or value is None:
        return value
    shape = model.shape(ref)
    if shape.document:
        return value
    match shape.type:
        case "structure":
            members = {n: normal(model, shape.members[n], v) for n, v in value.items()}
            empty_is_absent = {
                name
                for name, member in shape.members.items()
                if member.location is not None or name == shape.payload
            }
            return {
                name: member
                for name, member in members.items()
                if member is not None and not (name in empty_is_absent and member in ([], {}, b""))
            }
        case "list":
            return [normal(model, shape.member, item) for item in value]
        case "map":
            return {key: normal(model, shape.value, item) for key, item in value.items()}
        case "timestamp":
            return datetime.fromtimestamp(value, UTC) if not isinstance(value, datetime) else value
        case "blob":
            return value.encode() if isinstance(value, str) else value
        case "float" | "double":
            number = float(value)
            return "NaN" if math.isnan(number) else number
        case _:
            return value


def request_of(suite: dict[str, Any], serialized: dict[str, Any]) -> HttpRequest:
    path, _, query = serialized["uri"].partition("?")
    # An endpoint may have a path in front of the service's own: whoever serves it takes it off.
    path = path.removeprefix(urlsplit(suite.get("clientEndpoint", "")).path.rstrip("/"))
    body = (serialized.get("body") or "").encode()
    headers = [
        (name.lower().encode(), value.encode())
        for name, value in serialized.get("headers", {}).items()
    ]
    return HttpRequest(
        method=serialized["method"],
        raw_path=path.encode(),
        query=query.encode(),
        headers=headers,
        body=base64.b64decode(body) if suite["metadata"]["protocol"] == CBOR else body,
    )


def route_of(model: ServiceModel, case: dict[str, Any], request: HttpRequest) -> Route:
    protocol = model.metadata.protocol
    if protocol.startswith("rest-"):
        return resolve_rest(model, request)
    return resolve(model, protocol, case["given"]["name"])


@pytest.mark.parametrize(("suite", "case"), cases("input"))
def test_input_is_read(suite: dict[str, Any], case: dict[str, Any]) -> None:
    model = model_of(suite, case)
    request = request_of(suite, case["serialized"])
    route = route_of(model, case, request)
    assert route.operation == case["given"]["name"]
    ref = route.specification.input
    params = dict(case["params"])
    if case["id"].endswith("AutoFill"):
        params["token"] = TOKEN
    if model.metadata.protocol == "query":
        params = {name: value for name, value in params.items() if value != {}}
    assert normal(model, ref, parse(route, request)) == normal(model, ref, params)


class CaseInsensitive(dict[str, str]):
    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def read_back(suite: dict[str, Any], case: dict[str, Any], answer: HttpResponse) -> Any:
    description = copy.deepcopy(suite)
    description["operations"] = {case["given"]["name"]: case["given"]}
    model = BotocoreModel(description)
    operation = OperationModel(case["given"], model)
    protocol = model.metadata["protocol"]
    shape = operation.output_shape
    if protocol == "query" and shape is not None:
        shape.serialization["resultWrapper"] = f"{operation.name}Result"
    parser = PROTOCOL_PARSERS[protocol](timestamp_parser=read_time)
    response = {
        "status_code": answer.status,
        "headers": CaseInsensitive((n.decode(), v.decode()) for n, v in answer.headers),
        "body": answer.body,
        "context": {"operation_name": operation.name},
    }
    parsed = parser.parse(response, shape)
    if "errorCode" in case:
        error_shape = model.shape_for_error_code(parsed["Error"]["Code"])
        if error_shape is not None:
            parsed |= parser.parse(response, error_shape)
    return parsed


def read_time(value: Any) -> datetime:
    return parse_timestamp(value).astimezone(UTC)


@pytest.mark.parametrize(("suite", "case"), cases("output"))
def test_output_is_written(suite: dict[str, Any], case: dict[str, Any]) -> None:
    model = model_of(suite, case)
    route = resolve(model, model.metadata.protocol, case["given"]["name"])
    if "errorCode" in case:
        answer = serialize_error(
            route,
            case["errorCode"],
            case.get("errorMessage", ""),
            "request-1",
            {n: v for n, v in case["error"].items() if n.lower() != "message"},
        )
        parsed = read_back(suite, case, answer)
        parsed.pop("ResponseMetadata", None)
        error = parsed.pop("Error")
        assert error["Code"] == case["errorCode"]
        assert (error.get("Message") or "") == case.get("errorMessage", "")
        name = model.error_shapes()[case["errorCode"]]
        expected = normal(model, Ref(name), case["error"])
        known = {name: value for name, value in parsed.items() if name in expected}
        assert normal(model, Ref(name), known) == expected
        assert answer.status == case["response"]["status_code"]
        return
    answer = serialize(route, case["result"], "request-1")
    parsed = read_back(suite, case, answer)
    metadata = parsed.pop("ResponseMetadata", {})
    ref = route.specification.output
    if "prefixHeaders" in parsed:
        # Its prefix is empty, so that every header is in the map.
        wanted = case["result"]["prefixHeaders"]
        parsed["prefixHeaders"] = {n: v for n, v in parsed["prefixHeaders"].items() if n in wanted}
    assert normal(model, ref, parsed) == normal(model, ref, case["result"])
    assert metadata.get("RequestId", "request-1") == "request-1"
    assert answer.status == case["response"]["status_code"]
