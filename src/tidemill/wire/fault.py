"""Errors as answers: the code, the message and further members, as each protocol carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidemill.wire import cbor_body, json_body, location, s3, xml_text
from tidemill.wire.location import Headers
from tidemill.wire.model import Ref, ServiceModel, Shape
from tidemill.wire.request import HttpResponse
from tidemill.wire.route import CBOR, Route
from tidemill.wire.tree import TreeForm, writer_of
from tidemill.wire.xml_text import escape

Members = Mapping[str, Any]

_NOTHING: Final[Members] = {}
_NOT_MODIFIED: Final = 304
_STATUSES: Final = {
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "RequestEntityTooLargeException": 413,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
}
_FORBIDDEN: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""403, but for the JSON protocols, where nearly every error is 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """An error as the model has it: `ref` is its shape, or None where it is not modelled."""

    name: str
    code: str
    message: str
    status: int
    ref: Ref | None
    shape: Shape
    members: Members

    @property
    def blame(self) -> str:
        """Whose fault it is, in the query protocol's words."""
        return "Sender" if self.status < 500 else "Receiver"

    @property
    def message_key(self) -> str:
        """How the shape calls its message; services differ in the first letter."""
        return "Message" if "Message" in self.shape.members else "message"


_UNMODELLED: Final = Shape("structure")


def serialize_error(
    route: Route | None,
    code: str,
    message: str,
    request_id: str,
    members: Members = _NOTHING,
) -> HttpResponse:
    """The answer for an error: `code` is its modelled code or its shape's name.

    `members` are further members of the error's shape; strings may be added where the error is
    not modelled. Without a route, or with one that knows no operation, the status and form are
    those that most clients understand.
    """
    if route is None:
        route = _NOWHERE
    fault = _find(route, code, message, members)
    if route.protocol.startswith("rest-"):
        if route.protocol == "rest-xml":
            return _rest_xml(route, fault, request_id)
        return _rest_json(route, fault, request_id)
    if route.protocol == "query":
        return _query(route, fault, request_id)
    return _tree(route, fault, request_id)


def _find(route: Route, code: str, message: str, members: Members) -> _Fault:
    model = route.model
    name = model.error_shapes().get(code)
    if name is None:
        status = _unmodelled_status(route, code)
        return _Fault(
            name=code,
            code=code,
            message=message,
            status=status,
            ref=None,
            shape=_UNMODELLED,
            members=members,
        )
    shape = model.shapes[name]
    trait = shape.error
    stated = trait.http_status_code if trait is not None else None
    modelled_code = (trait.code if trait is not None else None) or shape.query_name
    known = {key: value for key, value in members.items() if key in shape.members}
    return _Fault(
        name=name,
        code=modelled_code or name,
        message=message,
        status=stated or (500 if shape.fault else _unmodelled_status(route, code)),
        ref=Ref(name),
        shape=shape,
        members=known,
    )


def _unmodelled_status(route: Route, code: str) -> int:
    if code in _STATUSES:
        return _STATUSES[code]
    if route.service == "s3":
        return s3.STATUSES.get(code, 400)
    if route.protocol == "json":
        return 400
    if code == "UnknownOperationException":
        return 404
    return 403 if code in _FORBIDDEN else 400


def _tree_members(model: ServiceModel, fault: _Fault, form: TreeForm) -> dict[str, Any]:
    """The error's body: its message, and those members that do not travel in headers."""
    tree: dict[str, Any] = {fault.message_key: fault.message}
    inside = {
        name: value
        for name, value in fault.members.items()
        if fault.ref is None or fault.shape.members[name].location is None
    }
    if fault.ref is not None:
        tree |= writer_of(model, form).structure(fault.ref)(inside)
    else:
        tree |= {name: str(value) for name, value in inside.items()}
    return tree


def _add_headers(model: ServiceModel, fault: _Fault, headers: Headers) -> None:
    for name, value in fault.members.items():
        ref = fault.shape.members.get(name)
        if ref is not None and ref.location in ("header", "headers") and value is not None:
            location.emitter(model, ref, name)(value, headers)


def _tree(route: Route, fault: _Fault, request_id: str) -> HttpResponse:
    headers: Headers = [(b"x-amzn-requestid", request_id.encode())]
    if route.model.metadata.aws_query_compatible is not None:
        headers.append((b"x-amzn-query-error", f"{fault.code};{fault.blame}".encode()))
    if route.protocol == CBOR:
        tree = {"__type": fault.name, **_tree_members(route.model, fault, cbor_body.FORM)}
        headers.append((b"smithy-protocol", b"rpc-v2-cbor"))
        headers.append((b"content-type", b"application/cbor"))
        return HttpResponse(fault.status, headers, cbor_body.encode(tree))
    tree = {"__type": fault.name, **_tree_members(route.model, fault, json_body.FORM)}
    version = route.model.metadata.json_version
    headers.append((b"content-type", f"application/x-amz-json-{version}".encode()))
    return HttpResponse(fault.status, headers, json_body.encode(tree))


def _rest_json(route: Route, fault: _Fault, request_id: str) -> HttpResponse:
    headers: Headers = [
        (b"x-amzn-requestid", request_id.encode()),
        (b"x-amzn-errortype", location.write_header(fault.name)),
        (b"content-type", b"application/json"),
    ]
    _add_headers(route.model, fault, headers)
    tree = _tree_members(route.model, fault, json_body.FORM)
    return HttpResponse(fault.status, headers, json_body.encode(tree))


def _xml_members(model: ServiceModel, fault: _Fault) -> str:
    parts: list[str] = []
    inside = {
        name: value
        for name, value in fault.members.items()
        if fault.ref is None or fault.shape.members[name].location is None
    }
    if fault.ref is not None:
        xml_text.writer_of(model).members(fault.ref)(inside, parts.append)
    else:
        parts += [f"<{name}>{escape(str(value))}</{name}>" for name, value in inside.items()]
    return "".join(parts)


def _error_element(route: Route, fault: _Fault) -> str:
    # The element's name is Message whatever the shape calls it: all SDKs look for that.
    return (
        f"<Error><Type>{fault.blame}</Type><Code>{escape(fault.code)}</Code>"
        f"<Message>{escape(fault.message)}</Message>{_xml_members(route.model, fault)}</Error>"
    )


def _query(route: Route, fault: _Fault, request_id: str) -> HttpResponse:
    start = xml_text.open_tag("ErrorResponse", route.model.namespace(None))
    text = (
        f"{start}>{_error_element(route, fault)}<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", b"text/xml")]
    return HttpResponse(fault.status, headers, text.encode())


def _rest_xml(route: Route, fault: _Fault, request_id: str) -> HttpResponse:
    encoded = request_id.encode()
    headers: Headers = [(b"x-amz-request-id", encoded), (b"x-amz-id-2", encoded)]
    if route.service != "s3":
        headers = [(b"x-amzn-requestid", encoded)]
    _add_headers(route.model, fault, headers)
    operation = route.model.operations.get(route.operation)
    is_head = operation is not None and operation.http.method == "HEAD"
    if is_head or fault.status == _NOT_MODIFIED:
        return HttpResponse(fault.status, headers, b"")
    headers.append((b"content-type", b"application/xml"))
    if route.service == "s3":
        text = (
            f"<Error><Code>{escape(fault.code)}</Code><Message>{escape(fault.message)}</Message>"
            f"{_xml_members(route.model, fault)}<RequestId>{request_id}</RequestId>"
            f"<HostId>{request_id}</HostId></Error>"
        )
    else:
        text = (
            f"<ErrorResponse>{_error_element(route, fault)}"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return HttpResponse(fault.status, headers, f"{xml_text.DECLARATION}{text}".encode())


_NOWHERE: Final = Route(
    service="",
    protocol="rest-json",
    operation="",
    model=ServiceModel.from_dict({"metadata": {"protocol": "rest-json"}}),
)
"""Where a request goes of which nothing is known: the code in a header, the message as JSON."""
