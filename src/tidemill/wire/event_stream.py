"""Event streams in answers: `application/vnd.amazon.eventstream`.

A result holds the events as dicts of one member each, by the event's name. What is written is
the row of their messages, each a frame with headers, a payload and two checksums (Smithy's "Amazon
Event Stream Specification").
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tidemill.wire import json_body, timestamp, xml_text
from tidemill.wire.model import Ref, ServiceModel, Shape
from tidemill.wire.request import HttpResponse
from tidemill.wire.tree import writer_of

CONTENT_TYPE: Final = b"application/vnd.amazon.eventstream"
_BOOLEAN_TRUE: Final = 0
_BOOLEAN_FALSE: Final = 1
_INTEGER: Final = 4
_LONG: Final = 5
_BYTES: Final = 6
_STRING: Final = 7
_TIMESTAMP: Final = 8

Event = Mapping[str, Any]
EncodeEvent = Callable[[Any], bytes]


def frame(headers: Mapping[str, Any], payload: bytes) -> bytes:
    """One message. Header values are str, bytes, bool, int or an aware datetime."""
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return head + struct.pack(">I", zlib.crc32(head))


def member_of(model: ServiceModel, ref: Ref) -> str | None:
    """The member of a structure that is an event stream, if one is."""
    for name, member in model.shape(ref).members.items():
        if model.shape(member).eventstream:
            return name
    return None


def body_writer(model: ServiceModel, ref: Ref, protocol: str) -> Callable[[Iterable[Event]], bytes]:
    """The closure that writes the events of the event stream `ref`."""
    encoders = {
        name: _event_encoder(model, name, member, protocol)
        for name, member in model.shape(ref).members.items()
    }

    def write(events: Iterable[Event]) -> bytes:
        return b"".join(encoders[name](value) for event in events for name, value in event.items())

    return write


def rpc_serializer(
    model: ServiceModel,
    ref: Ref,
    stream: str,
    encode: Callable[[Any], bytes],
    write: Callable[[Any], Any],
) -> Callable[[Mapping[str, Any], str], HttpResponse]:
    """The closure for an answer of an RPC protocol: the other members are the first event."""
    write_events = body_writer(model, model.shape(ref).members[stream], "json")
    first_headers = {
        ":message-type": "event",
        ":event-type": "initial-response",
        ":content-type": "application/json",
    }

    def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
        others = {name: value for name, value in result.items() if name != stream}
        body = frame(first_headers, encode(write(others))) + write_events(result.get(stream) or ())
        headers = [(b"x-amzn-requestid", request_id.encode()), (b"content-type", CONTENT_TYPE)]
        return HttpResponse(200, headers, body)

    return serialize


def _header(name: str, value: Any) -> bytes:
    start = bytes([len(name.encode())]) + name.encode()
    if isinstance(value, bool):
        return start + bytes([_BOOLEAN_TRUE if value else _BOOLEAN_FALSE])
    if isinstance(value, int):
        fits = -(2**31) <= value < 2**31
        return start + struct.pack(*((">Bi", _INTEGER) if fits else (">Bq", _LONG)), value)
    if isinstance(value, bytes | str):
        kind = _BYTES if isinstance(value, bytes) else _STRING
        data = value if isinstance(value, bytes) else value.encode()
        return start + struct.pack(">BH", kind, len(data)) + data
    milliseconds = int(timestamp.to_number(value) * 1000)
    return start + struct.pack(">Bq", _TIMESTAMP, milliseconds)


def _event_encoder(model: ServiceModel, name: str, ref: Ref, protocol: str) -> EncodeEvent:
    shape = model.shape(ref)
    in_headers = [member for member, r in shape.members.items() if r.eventheader]
    payload = next((member for member, r in shape.members.items() if r.eventpayload), None)
    in_body = [m for m in shape.members if m not in in_headers and m != payload]
    content_type, encode_body = _payload_encoder(model, ref, shape, payload, in_body, protocol)
    kind = {":message-type": "event", ":event-type": name}
    if shape.exception:
        kind = {":message-type": "exception", ":exception-type": name}
    if content_type:
        kind[":content-type"] = content_type

    def encode(value: Event) -> bytes:
        headers = kind | {m: value[m] for m in in_headers if value.get(m) is not None}
        return frame(headers, encode_body(value))

    return encode


def _payload_encoder(
    model: ServiceModel,
    ref: Ref,
    shape: Shape,
    payload: str | None,
    names: list[str],
    protocol: str,
) -> tuple[str, Callable[[Event], bytes]]:
    """What the payload of an event's message is called, and what writes it."""
    if payload is not None:
        member = shape.members[payload]
        kind = model.shape(member).type
        if kind == "blob":
            return "application/octet-stream", lambda event: bytes(event.get(payload) or b"")
        if kind == "string":
            return "text/plain", lambda event: (event.get(payload) or "").encode()
        return _document_encoder(
            model, member, list(model.shape(member).members), protocol, payload
        )
    if not names:
        return "", lambda _: b""
    return _document_encoder(model, ref, names, protocol, None)


def _document_encoder(
    model: ServiceModel, ref: Ref, names: list[str], protocol: str, payload: str | None
) -> tuple[str, Callable[[Event], bytes]]:
    def inside(event: Event) -> Event:
        value: Event = event if payload is None else (event.get(payload) or {})
        return {name: value[name] for name in names if name in value}

    if protocol == "rest-xml":
        write_members = xml_text.writer_of(model).members(ref, names)
        tag = ref.location_name or ref.shape

        def encode_xml(event: Event) -> bytes:
            parts = [f"<{tag}>"]
            write_members(inside(event), parts.append)
            return ("".join(parts) + f"</{tag}>").encode()

        return "text/xml", encode_xml
    write = writer_of(model, json_body.FORM).structure(ref, names)
    return "application/json", lambda event: json_body.encode(write(inside(event)))
