"""From an operation's result to an HTTP answer; from an error to one in `fault`.

One closure is compiled per operation and protocol, when it is first called. Members that are None
are left out; a member that the model does not have is our own mistake and raises TypeError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tidemill.wire import cbor_body, event_stream, json_body, location, s3, tree, xml_text
from tidemill.wire.fault import serialize_error
from tidemill.wire.location import Emit, Headers
from tidemill.wire.model import Operation, Ref, ServiceModel, Shape, XmlNamespace
from tidemill.wire.request import HttpResponse
from tidemill.wire.route import CBOR, Route

__all__ = ["compile_serializer", "serialize", "serialize_error"]

Result = Mapping[str, Any]
Serializer = Callable[[Result, str], HttpResponse]
WriteBody = Callable[[Result], bytes]

_NO_CONTENT: Final = 204
_PARTIAL_CONTENT: Final = 206


def serialize(route: Route, result: Result, request_id: str) -> HttpResponse:
    """The answer that says `result`, which has the members of the operation's output shape.

    Timestamps are datetimes or Unix seconds. A blob payload becomes the answer's body as it is,
    whatever object it is.
    """
    compiled = route.model.compiled
    key = ("serialize", route.protocol, route.operation)
    serializer: Serializer | None = compiled.get(key)
    if serializer is None:
        serializer = compile_serializer(route.model, route.specification, route.protocol)
        compiled[key] = serializer
    return serializer(result, request_id)


def compile_serializer(model: ServiceModel, operation: Operation, protocol: str) -> Serializer:
    """The closure that writes answers of one operation in one protocol."""
    if protocol.startswith("rest-"):
        return _rest_serializer(model, operation, protocol)
    if protocol == "query":
        return _query_serializer(model, operation)
    return _tree_serializer(model, operation, protocol)


def _tree_serializer(model: ServiceModel, operation: Operation, protocol: str) -> Serializer:
    form = cbor_body.FORM if protocol == CBOR else json_body.FORM
    encode: Callable[[Any], bytes] = json_body.encode
    headers: Headers = [(b"content-type", _json_type(model))]
    if protocol == CBOR:
        encode = cbor_body.encode
        headers = [(b"smithy-protocol", b"rpc-v2-cbor"), (b"content-type", b"application/cbor")]
    if operation.output is None:
        bare = [header for header in headers if header[0] != b"content-type"]
        return lambda _, request_id: HttpResponse(200, _identified(request_id, bare), b"")
    write = tree.writer_of(model, form).structure(operation.output)
    stream = event_stream.member_of(model, operation.output)
    if stream is not None:
        return event_stream.rpc_serializer(model, operation.output, stream, encode, write)

    def serialize_tree(result: Result, request_id: str) -> HttpResponse:
        return HttpResponse(200, _identified(request_id, headers), encode(write(result)))

    return serialize_tree


def _json_type(model: ServiceModel) -> bytes:
    return f"application/x-amz-json-{model.metadata.json_version}".encode()


def _identified(request_id: str, headers: Headers) -> Headers:
    return [(b"x-amzn-requestid", request_id.encode()), *headers]


def _query_serializer(model: ServiceModel, operation: Operation) -> Serializer:
    name = operation.name
    start = xml_text.open_tag(f"{name}Response", model.namespace(None)) + ">"
    end = "<ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>" + f"</{name}Response>"
    headers = [(b"content-type", b"text/xml")]
    write: xml_text.Write = _write_nothing
    if operation.output is not None:
        wrapper = operation.output.result_wrapper or f"{name}Result"
        write = _wrapped(xml_text.writer_of(model).members(operation.output), wrapper)

    def serialize_query(result: Result, request_id: str) -> HttpResponse:
        parts = [start]
        write(result, parts.append)
        parts.append(end.format(request_id))
        return HttpResponse(200, _identified(request_id, headers), "".join(parts).encode())

    return serialize_query


def _write_nothing(_value: Any, _append: xml_text.Append) -> None:
    pass


def _wrapped(write_members: xml_text.Write, tag: str) -> xml_text.Write:
    def write(value: Any, append: xml_text.Append) -> None:
        append(f"<{tag}>")
        write_members(value, append)
        append(f"</{tag}>")

    return write


def _rest_serializer(model: ServiceModel, operation: Operation, protocol: str) -> Serializer:
    emit: dict[str, Emit] = {}
    status_member = None
    payload = None
    write_body: Callable[[Result], Any] = _no_body
    content_type: bytes | None = None
    if operation.output is not None:
        shape = model.shape(operation.output)
        emit, status_member = _outside_body(model, shape)
        payload = shape.payload
        write_body, content_type = _body_writer(model, operation, shape, protocol)
    usual_status = operation.http.response_code
    id_headers = _s3_ids if model.name == "s3" else _amzn_id
    has_body = operation.http.method != "HEAD" and usual_status != _NO_CONTENT

    def serialize_rest(result: Result, request_id: str) -> HttpResponse:
        headers = id_headers(request_id)
        inside: Result = result
        status = usual_status
        if emit or status_member:
            inside = {}
            for name, value in result.items():
                if value is None:
                    continue
                if name == status_member:
                    status = int(value)
                elif name in emit:
                    emit[name](value, headers)
                else:
                    inside[name] = value
        if payload is not None and not inside.keys() <= {payload}:
            raise TypeError(f"{operation.name}'s answer has no members {[*inside]}")
        if not has_body:
            return HttpResponse(status, headers, b"")
        body = write_body(inside)
        if body != b"" and content_type and not _has_content_type(headers):
            headers.append((b"content-type", content_type))
        return HttpResponse(_partial(status, headers), headers, body)

    return serialize_rest


def _amzn_id(request_id: str) -> Headers:
    return [(b"x-amzn-requestid", request_id.encode())]


def _s3_ids(request_id: str) -> Headers:
    encoded = request_id.encode()
    return [(b"x-amz-request-id", encoded), (b"x-amz-id-2", encoded)]


def _has_content_type(headers: Headers) -> bool:
    return any(name == b"content-type" for name, _ in headers)


def _partial(status: int, headers: Headers) -> int:
    """200 is 206 where the answer says which range of the whole it is."""
    if status == 200 and any(name == b"content-range" for name, _ in headers):
        return _PARTIAL_CONTENT
    return status


def _outside_body(model: ServiceModel, shape: Shape) -> tuple[dict[str, Emit], str | None]:
    emit: dict[str, Emit] = {}
    status_member = None
    for name, ref in shape.members.items():
        if ref.location == "statusCode":
            status_member = name
        elif ref.location in location.RESPONSE_LOCATIONS:
            emit[name] = location.emitter(model, ref, name)
    return emit, status_member


def _no_body(_: Result) -> bytes:
    return b""


def _body_writer(
    model: ServiceModel, operation: Operation, shape: Shape, protocol: str
) -> tuple[Callable[[Result], Any], bytes | None]:
    assert operation.output is not None
    if shape.payload is not None:
        return _payload_writer(model, shape.payload, shape.members[shape.payload], protocol)
    names = [n for n, r in shape.members.items() if r.location not in location.RESPONSE_LOCATIONS]
    if protocol == "rest-json":
        write = tree.writer_of(model, json_body.FORM).structure(operation.output, names)
        return lambda result: json_body.encode(write(result)), b"application/json"
    if model.name == "s3" and operation.name == "GetBucketLocation":
        return lambda result: s3.bucket_location(result).encode(), b"application/xml"
    if not names:
        return _no_body, None
    return _root_writer(model, operation, names), b"application/xml"


def _root_writer(model: ServiceModel, operation: Operation, names: list[str]) -> WriteBody:
    ref = operation.output
    assert ref is not None
    namespace = model.namespace(ref) or model.namespace(None)
    tag = model.wire_name(ref, f"{operation.name}Response")
    if model.name == "s3":
        namespace = namespace or XmlNamespace(s3.NAMESPACE)
        tag = s3.ROOTS.get(operation.name, tag)
    start = xml_text.DECLARATION + xml_text.open_tag(tag, namespace)
    writer = xml_text.writer_of(model)
    write_attributes = writer.attributes(model.shape(ref)) or _write_nothing
    write_members = writer.members(ref, names)

    def write(result: Result) -> bytes:
        parts = [start]
        write_attributes(result, parts.append)
        parts.append(">")
        write_members(result, parts.append)
        parts.append(f"</{tag}>")
        return "".join(parts).encode()

    return write


def _payload_writer(
    model: ServiceModel, name: str, ref: Ref, protocol: str
) -> tuple[Callable[[Result], Any], bytes | None]:
    """What writes the member that is the whole body."""
    shape = model.shape(ref)
    if shape.eventstream:
        write_events = event_stream.body_writer(model, ref, protocol)
        return lambda result: write_events(result.get(name) or ()), event_stream.CONTENT_TYPE
    if shape.type == "blob":
        return lambda result: _blob(result.get(name)), b"application/octet-stream"
    if shape.type == "string":
        return lambda result: (result.get(name) or "").encode(), b"text/plain"
    if protocol == "rest-json":
        write = tree.writer_of(model, json_body.FORM).leaf(ref)[1]
        return (
            lambda result: json_body.encode(write(result[name])) if name in result else b"",
            b"application/json",
        )
    # A payload's root goes by the member's own name for it, or by its shape.
    tag = ref.location_name or model.shape(ref).location_name or ref.shape
    namespace = model.namespace(ref)
    if model.name == "s3":
        namespace = namespace or XmlNamespace(s3.NAMESPACE)
    write_element = xml_text.writer_of(model).element(ref, tag, namespace)

    def write_xml(result: Result) -> bytes:
        parts: list[str] = []
        if name in result:
            write_element(result[name], parts.append)
        return "".join(parts).encode()

    return write_xml, b"application/xml"


def _blob(value: Any) -> Any:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value
