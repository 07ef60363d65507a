"""Members that travel outside the body: in the path, the query string, headers or the status.

Locators for the REST protocols, both ways, compiled once per operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from tidemill.wire import json_body, scalar
from tidemill.wire.error import Mismatch, item_step, unreadable
from tidemill.wire.model import Ref, ServiceModel, Shape
from tidemill.wire.request import HttpRequest

Labels = Mapping[str, bytes]
Query = dict[str, list[str]]
Headers = list[tuple[bytes, bytes]]
Locate = Callable[[HttpRequest, Labels, Query], Any]
"""What finds a member's value in a request; None when it is not there."""
Emit = Callable[[Any, Headers], None]
"""What adds a member of a result to an answer's headers."""

REQUEST_LOCATIONS: Final = frozenset({"uri", "querystring", "header", "headers"})
RESPONSE_LOCATIONS: Final = frozenset({"header", "headers", "statusCode"})
_HEADER_TIMESTAMP: Final = "rfc822"
_CONTROLS: Final = bytes([*range(32), 127])
_BLANKS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_LIST_ITEM: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*?))\s*(?:,|$)')
_DATE_ITEM: Final = re.compile(r"\s*((?:[A-Za-z]{3}, )?[^,]*?)\s*(?:,|$)")


def read_query(query: bytes) -> Query:
    """The query string's values by name; Mismatch where it is not UTF-8."""
    found: Query = {}
    if query:
        for name, text in read_pairs(query):
            found.setdefault(name, []).append(text)
    return found


def read_pairs(encoded: bytes) -> list[tuple[str, str]]:
    """Names and values of a query string or a form; Mismatch where they are not UTF-8."""
    try:
        return parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise Mismatch("The query string or form", f"text: it is not UTF-8 ({error})") from None


def read_header(value: bytes) -> str:
    """A header as text: UTF-8, or Latin-1 where it is not that."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def write_header(text: str) -> bytes:
    """Text as a header's value; what could end the header becomes a blank."""
    return text.encode().translate(_BLANKS)


def locator(model: ServiceModel, shape: Shape, name: str, protocol: str) -> Locate:
    """The closure that finds a member of an input in a request, where its use says it is."""
    ref = shape.members[name]
    key = model.wire_name(ref, name)
    match ref.location:
        case "uri":
            return _label_locator(key, scalar.reader(model, ref))
        case "querystring":
            if model.shape(ref).type == "map":
                return _query_map_locator(model, shape, ref, protocol)
            return _query_locator(model, ref, key)
        case "header":
            return _header_locator(key.lower().encode(), header_reader(model, ref))
        case "headers":
            return _prefix_locator((ref.location_name or "").lower().encode())
        case _:
            raise LookupError(f"{name} has an unknown location {ref.location!r}")


def _label_locator(key: str, read: scalar.Reader) -> Locate:
    def locate(_request: HttpRequest, labels: Labels, _query: Query) -> Any:
        raw = labels.get(key)
        if raw is None:
            return None
        try:
            return read(unquote_to_bytes(raw).decode())
        except UnicodeDecodeError:
            raise unreadable(raw.decode("latin-1"), "text: it is not UTF-8") from None

    return locate


def _query_locator(model: ServiceModel, ref: Ref, key: str) -> Locate:
    shape = model.shape(ref)
    if shape.type == "list":
        assert shape.member is not None
        read_item = scalar.reader(model, shape.member)

        def locate_list(_request: HttpRequest, _labels: Labels, query: Query) -> Any:
            texts = query.get(key)
            return None if texts is None else _read_items(texts, read_item)

        return locate_list
    read = scalar.reader(model, ref)

    def locate(_request: HttpRequest, _labels: Labels, query: Query) -> Any:
        texts = query.get(key)
        return None if texts is None else read(texts[-1])

    return locate


def _query_map_locator(model: ServiceModel, inputs: Shape, ref: Ref, protocol: str) -> Locate:
    """A map takes what is in the query string.

    The protocols' cases differ on names that another member is bound to: with rest-json they are
    in the map as well, with rest-xml they are not.
    """
    value = model.shape(ref).value
    assert value is not None
    value_is_list = model.shape(value).type == "list"
    bound: set[str] = set()
    if protocol == "rest-xml":
        bound = {
            model.wire_name(member, name)
            for name, member in inputs.members.items()
            if member.location == "querystring" and member is not ref
        }

    def locate(_request: HttpRequest, _labels: Labels, query: Query) -> Any:
        return {
            name: list(texts) if value_is_list else texts[-1]
            for name, texts in query.items()
            if name not in bound
        } or None

    return locate


def _header_locator(key: bytes, read: scalar.Reader) -> Locate:
    def locate(request: HttpRequest, _labels: Labels, _query: Query) -> Any:
        value = request.header(key)
        return None if value is None else read(read_header(value))

    return locate


def _prefix_locator(prefix: bytes) -> Locate:
    size = len(prefix)

    def locate(request: HttpRequest, _labels: Labels, _query: Query) -> Any:
        found = {
            read_header(name[size:]): read_header(value)
            for name, value in request.header_map.items()
            if name.startswith(prefix)
        }
        return found or None

    return locate


def header_reader(model: ServiceModel, ref: Ref) -> scalar.Reader:
    """What reads a header's text: scalars, comma-separated lists, JSON in base64."""
    shape = model.shape(ref)
    if ref.jsonvalue or shape.jsonvalue:
        return lambda text: json_body.decode(scalar.read_base64(text.strip()))
    if shape.type == "list":
        assert shape.member is not None
        read_item = scalar.reader(model, shape.member)
        split = _split_dates if model.shape(shape.member).type == "timestamp" else _split_list
        return lambda text: _read_items(split(text), read_item)
    read = scalar.reader(model, ref)
    return lambda text: read(text.strip())


def _read_items(texts: list[str], read_item: scalar.Reader) -> list[Any]:
    items: list[Any] = []
    for text in texts:
        try:
            items.append(read_item(text))
        except Mismatch as mismatch:
            raise mismatch.within(item_step(len(items) + 1)) from None
    return items


def _split_list(text: str) -> list[str]:
    """The items of a header's list; an item in quotes may hold commas."""
    if not text.strip():
        return []
    if '"' not in text:
        return [item.strip() for item in text.split(",")]
    items = []
    position = 0
    while position < len(text):
        match = _LIST_ITEM.match(text, position)
        if match is None:
            raise unreadable(text, 'a List (items with commas stand in "quotes")')
        quoted, plain = match.groups()
        items.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = match.end()
    return items


def _split_dates(text: str) -> list[str]:
    """The items of a list of timestamps: the comma after a weekday does not separate."""
    return [match.group(1) for match in _DATE_ITEM.finditer(text) if match.group(1)]


def emitter(model: ServiceModel, ref: Ref, name: str) -> Emit:
    """The closure that writes a member of a result into headers."""
    key = model.wire_name(ref, name).lower().encode()
    if ref.location == "headers":
        return _prefix_emitter((ref.location_name or "").lower().encode())
    write = _header_writer(model, ref)

    def emit(value: Any, headers: Headers) -> None:
        text = write(value)
        if text is not None:
            headers.append((key, write_header(text)))

    return emit


def _prefix_emitter(prefix: bytes) -> Emit:
    def emit(value: Any, headers: Headers) -> None:
        for name, text in value.items():
            headers.append((prefix + write_header(name), write_header(text)))

    return emit


def _header_writer(model: ServiceModel, ref: Ref) -> Callable[[Any], str | None]:
    shape = model.shape(ref)
    if ref.jsonvalue or shape.jsonvalue:
        return lambda value: scalar.write_base64(json_body.encode(value))
    if shape.type == "list":
        item = shape.member
        assert item is not None
        write_item = scalar.writer(model, item, _HEADER_TIMESTAMP)
        quotes = model.shape(item).type == "string"

        def write_list(value: Any) -> str | None:
            texts = [write_item(each) for each in value]
            return ", ".join(_quote(text) if quotes else text for text in texts) or None

        return write_list
    return scalar.writer(model, ref, _HEADER_TIMESTAMP)


def _quote(text: str) -> str:
    if '"' in text or "," in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text
