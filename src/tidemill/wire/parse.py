"""From a request to the parameters of its operation: a dict of botocore's member names.

Values are str, int, float, bool, bytes, aware datetimes, lists and dicts. One closure is compiled
per operation and protocol, when it is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tidemill.wire import cbor_body, form_body, json_body, location, s3, tree, xml_body
from tidemill.wire.constraint import Checker, Violation, refuse
from tidemill.wire.error import Mismatch, WireError
from tidemill.wire.location import Labels, Locate
from tidemill.wire.model import Operation, Ref, ServiceModel
from tidemill.wire.payload import inflate, whole_body
from tidemill.wire.request import HttpRequest
from tidemill.wire.route import CBOR, Route, malformed_code
from tidemill.wire.service import profile_of

Params = dict[str, Any]
Parser = Callable[[HttpRequest, Labels], Params]
ReadBody = Callable[[bytes], Params]


class _MalformedBody(Exception):
    """Carries the mismatch of a body, whose error code may differ from the rest's."""


def parse(route: Route, request: HttpRequest) -> Params:
    """The parameters of `request`, checked against the model; WireError for anything else.

    A blob payload is `request.body` itself; it is left out when it is empty bytes.
    """
    params = decode(route, request)
    check(route, params)
    return params


def decode(route: Route, request: HttpRequest) -> Params:
    """The parameters of `request` with the right types, other constraints unchecked."""
    compiled = route.model.compiled
    key = ("parse", route.protocol, route.operation)
    parser: Parser | None = compiled.get(key)
    if parser is None:
        parser = compiled[key] = compile_parser(route.model, route.specification, route.protocol)
    try:
        return parser(request, route.labels)
    except Mismatch as mismatch:
        code = malformed_code(route.protocol)
        raise WireError(code, str(mismatch), route=route) from None
    except _MalformedBody as malformed:
        code = malformed_code(route.protocol, of_body=True)
        raise WireError(code, str(malformed), route=route) from None
    except RecursionError:
        code = malformed_code(route.protocol, of_body=True)
        raise WireError(code, "The body is nested too deeply.", route=route) from None


def check(route: Route, params: Params) -> None:
    """Refuse parameters that break a constraint of the model, with all violations in one error."""
    compiled = route.model.compiled
    checker: Checker | None = compiled.get("checker")
    if checker is None:
        checker = compiled["checker"] = Checker(route.model)
    shape = route.specification.input
    check_input = None if shape is None else checker.shape(shape)
    if check_input is not None:
        found: list[Violation] = []
        check_input(params, None, found)
        if found:
            raise _invalid(route, found)


def _invalid(route: Route, found: list[Violation]) -> WireError:
    ref = route.specification.input
    assert ref is not None
    payload = route.model.shape(ref).payload
    code = None
    if route.protocol == "rest-xml" and all(violation.member == payload for violation in found):
        code = malformed_code(route.protocol, of_body=True)
    error = refuse(found, profile_of(route.service), code)
    error.route = route
    return error


def compile_parser(model: ServiceModel, operation: Operation, protocol: str) -> Parser:
    """The closure that reads requests of one operation in one protocol."""
    if operation.input is None:
        return lambda _request, _labels: {}
    if protocol.startswith("rest-"):
        return _rest_parser(model, operation.input, operation, protocol)
    if protocol == "query":
        return _query_parser(model, operation.input, operation)
    form = cbor_body.FORM if protocol == CBOR else json_body.FORM
    read = tree.reader_of(model, form).structure(operation.input)
    read_tree = cbor_body.decode if protocol == CBOR else json_body.decode
    may_be_compressed = operation.requestcompression is not None

    def parse_tree(request: HttpRequest, _labels: Labels) -> Params:
        body = request.body
        if type(body) is not bytes:
            body = whole_body(request)
        if may_be_compressed:
            body = inflate(request, body)
        params: Params = read(read_tree(body)) if body else {}
        return params

    return parse_tree


def _query_parser(model: ServiceModel, ref: Ref, operation: Operation) -> Parser:
    read = form_body.reader_of(model).structure(ref)
    takes_queue_url = model.name == "sqs" and "QueueUrl" in model.shape(ref).members

    def parse_form(request: HttpRequest, _labels: Labels) -> Params:
        pairs = location.read_pairs(request.query)
        if request.method == "POST":
            body = whole_body(request)
            if operation.requestcompression is not None:
                body = inflate(request, body)
            pairs += location.read_pairs(body)
        params: Params = read(form_body.decode(pairs))
        if takes_queue_url and "QueueUrl" not in params and request.raw_path != b"/":
            # Old clients send to the queue's URL instead of naming it.
            host = location.read_header(request.header(b"host") or b"")
            params["QueueUrl"] = f"http://{host}{location.read_header(request.raw_path)}"
        return params

    return parse_form


def _rest_parser(model: ServiceModel, ref: Ref, operation: Operation, protocol: str) -> Parser:
    shape = model.shape(ref)
    locators: list[tuple[str, Locate]] = []
    in_body: list[str] = []
    for name, member in shape.members.items():
        if member.location in location.REQUEST_LOCATIONS:
            locators.append((name, location.locator(model, shape, name, protocol)))
        elif name != shape.payload:
            in_body.append(name)
    has_query = any(m.location == "querystring" for m in shape.members.values())
    read_payload = None
    if shape.payload is not None:
        read_payload = _payload_reader(model, shape.members[shape.payload], protocol)
    elif in_body:
        read_payload = _body_reader(model, ref, in_body, protocol)
    payload = shape.payload
    may_be_compressed = operation.requestcompression is not None
    is_s3 = model.name == "s3"

    def parse_rest(request: HttpRequest, labels: Labels) -> Params:
        params: Params = {}
        if is_s3:
            request = s3.with_hoisted_headers(request)
        if read_payload is not None:
            value = read_payload(request, may_be_compressed)
            if payload is None:
                params = value or {}
            elif value is not None:
                params[payload] = value
        if locators:
            query = location.read_query(request.query) if has_query else _NO_QUERY
            _locate(locators, request, labels, query, params)
        return params

    return parse_rest


_NO_QUERY: Final[location.Query] = {}
_ReadPayload = Callable[[HttpRequest, bool], Any]


def _locate(
    locators: list[tuple[str, Locate]],
    request: HttpRequest,
    labels: Labels,
    query: location.Query,
    params: Params,
) -> None:
    for name, locate in locators:
        try:
            value = locate(request, labels, query)
        except Mismatch as mismatch:
            raise mismatch.within(name) from None
        if value is not None:
            params[name] = value


def _payload_reader(model: ServiceModel, ref: Ref, protocol: str) -> _ReadPayload:
    """What reads a body that is one member as a whole."""
    kind = model.shape(ref).type
    if kind == "blob":
        return lambda request, _: request.body if request.body != b"" else None
    if kind == "string":
        return _read_text
    if protocol == "rest-xml":
        return _guarded(_xml_body(xml_body.reader_of(model).element(ref)))
    read = tree.reader_of(model, json_body.FORM).leaf(ref)[1]
    return _guarded(lambda body: read(json_body.decode(body)))


def _body_reader(model: ServiceModel, ref: Ref, names: list[str], protocol: str) -> _ReadPayload:
    """What reads a body that holds some of a structure's members."""
    if protocol == "rest-xml":
        return _guarded(_xml_body(xml_body.reader_of(model).structure(ref, names)))
    read = tree.reader_of(model, json_body.FORM).structure(ref, names)
    return _guarded(lambda body: read(json_body.decode(body)))


def _xml_body(read: xml_body.ReadElement) -> Callable[[bytes], Any]:
    return lambda body: read(xml_body.decode(body))


def _guarded(read: Callable[[bytes], Any]) -> _ReadPayload:
    def read_body(request: HttpRequest, may_be_compressed: bool) -> Any:
        body = request.body
        if type(body) is not bytes:
            body = whole_body(request)
        if may_be_compressed:
            body = inflate(request, body)
        if not body:
            return None
        try:
            return read(body)
        except Mismatch as mismatch:
            raise _MalformedBody(str(mismatch)) from None

    return read_body


def _read_text(request: HttpRequest, _: bool) -> str | None:
    body = whole_body(request)
    try:
        return body.decode() if body else None
    except UnicodeDecodeError as error:
        raise _MalformedBody(f"The body is not text in UTF-8 ({error}).") from None
