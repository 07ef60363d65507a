"""Writing XML bodies: answers of rest-xml and of the query protocol.

Each use of a shape is compiled into a closure that appends text; names and tags are put together
once. Names follow what botocore's parser looks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from tidemill.wire import scalar
from tidemill.wire.model import Ref, ServiceModel, Shape, XmlNamespace

Append = Callable[[str], None]
Write = Callable[[Any, Append], None]

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TIMESTAMP_FORMAT: Final = "iso8601"
_SPECIAL: Final = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\x85\u2028\ufffe\uffff]')
_SPECIAL_IN_ATTRIBUTE: Final = re.compile('[&<>"\t\n\r\x00-\x08\x0b\x0c\x0e-\x1f\x85\u2028]')
_NAMED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text as the content of an element.

    Characters that XML 1.0 cannot hold are written as references all the same: S3 does so too,
    for keys that contain them.
    """
    return _SPECIAL.sub(_reference, text) if _SPECIAL.search(text) else text


def escape_attribute(text: str) -> str:
    """Text as the value of an attribute."""
    return _SPECIAL_IN_ATTRIBUTE.sub(_reference, text)


def _reference(match: re.Match[str]) -> str:
    character = match.group()
    return _NAMED.get(character) or f"&#x{ord(character):X};"


def open_tag(tag: str, namespace: XmlNamespace | None) -> str:
    """`<tag>`, declaring a namespace where there is one; without the closing `>`."""
    if namespace is None:
        return f"<{tag}"
    name = f"xmlns:{namespace.prefix}" if namespace.prefix else "xmlns"
    return f'<{tag} {name}="{escape_attribute(namespace.uri)}"'


def writer_of(model: ServiceModel) -> XmlWriter:
    """The model's writer of XML; it is made once."""
    found: XmlWriter | None = model.compiled.get("xml_writer")
    if found is None:
        found = model.compiled["xml_writer"] = XmlWriter(model)
    return found


class XmlWriter:
    """Compiles shapes into closures that append XML text.

    Members that are None are left out; a member that the shape does not have is our own mistake:
    TypeError, which names it.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[str, Write] = {}

    def members(self, ref: Ref, names: Iterable[str] | None = None) -> Write:
        """The closure for the inside of a structure, or of those members that `names` lists."""
        shape = self._model.shape(ref)
        return self._members(ref.shape, shape, shape.members if names is None else names)

    def element(self, ref: Ref, tag: str, namespace: XmlNamespace | None = None) -> Write:
        """The closure for a shape as an element; flattened ones as a row of elements."""
        shape = self._model.shape(ref)
        start = open_tag(tag, namespace or self._model.namespace(ref))
        if shape.type == "structure":
            return self._structure(ref.shape, shape, start, tag)
        if shape.type == "list":
            return self._list(ref, shape, start, tag)
        if shape.type == "map":
            return self._map(ref, shape, start, tag)
        write_text = scalar.writer(self._model, ref, _TIMESTAMP_FORMAT)
        return _text_element(f"{start}>", write_text, f"</{tag}>")

    def _structure(self, name: str, shape: Shape, start: str, tag: str) -> Write:
        write_members = self._recursive(name, shape)
        write_attributes = self.attributes(shape)
        end = f"</{tag}>"

        def write(value: Any, append: Append) -> None:
            append(start)
            if write_attributes is not None:
                write_attributes(value, append)
            append(">")
            write_members(value, append)
            append(end)

        return write

    def _recursive(self, name: str, shape: Shape) -> Write:
        made = self._made.get(name)
        if made is None:
            self._made[name] = lambda value, append: self._made[name](value, append)
            made = self._made[name] = self._members(name, shape, shape.members)
        return made

    def _members(self, shape_name: str, shape: Shape, names: Iterable[str]) -> Write:
        writers: dict[str, Write | None] = {}
        for name in names:
            ref = shape.members[name]
            tag = self._model.query_name(ref, name)
            writers[name] = None if ref.xml_attribute else self.element(ref, tag)

        def write(value: Any, append: Append) -> None:
            for name, item in value.items():
                if item is None:
                    continue
                try:
                    write_member = writers[name]
                except KeyError:
                    raise TypeError(f"{shape_name} has no member {name!r}") from None
                if write_member is not None:
                    write_member(item, append)

        return write

    def attributes(self, shape: Shape) -> Write | None:
        """The closure for those members of a structure that are its attributes, if any are."""
        writers = {
            name: (
                self._model.wire_name(ref, name),
                scalar.writer(self._model, ref, _TIMESTAMP_FORMAT),
            )
            for name, ref in shape.members.items()
            if ref.xml_attribute
        }
        if not writers:
            return None

        def write(value: Any, append: Append) -> None:
            for name, (key, write_text) in writers.items():
                item = value.get(name)
                if item is not None:
                    append(f' {key}="{escape_attribute(write_text(item))}"')

        return write

    def _list(self, ref: Ref, shape: Shape, start: str, tag: str) -> Write:
        item = shape.member
        assert item is not None
        if self._model.is_flattened(ref):
            write_item = self.element(item, item.location_name or tag, self._model.namespace(ref))
            return _each(write_item)
        write_items = _each(self.element(item, self._model.wire_name(item, "member")))
        end = f"</{tag}>"

        def write(value: Any, append: Append) -> None:
            append(f"{start}>")
            write_items(value, append)
            append(end)

        return write

    def _map(self, ref: Ref, shape: Shape, start: str, tag: str) -> Write:
        assert shape.key is not None
        assert shape.value is not None
        write_key = self.element(shape.key, self._model.wire_name(shape.key, "key"))
        write_value = self.element(shape.value, self._model.wire_name(shape.value, "value"))
        if self._model.is_flattened(ref):
            before = after = ""
            entry_start, entry_end = f"{start}>", f"</{tag}>"
        else:
            before, after = f"{start}>", f"</{tag}>"
            entry_start, entry_end = "<entry>", "</entry>"

        def write(value: Any, append: Append) -> None:
            append(before)
            for key, item in value.items():
                append(entry_start)
                write_key(key, append)
                write_value(item, append)
                append(entry_end)
            append(after)

        return write


def _each(write_item: Write) -> Write:
    def write(value: Any, append: Append) -> None:
        for item in value:
            write_item(item, append)

    return write


def _text_element(start: str, write_text: scalar.Writer, end: str) -> Write:
    def write(value: Any, append: Append) -> None:
        append(start)
        append(escape(write_text(value)))
        append(end)

    return write
