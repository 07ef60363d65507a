"""Form bodies: requests of the query protocol.

A form's names are paths (`Tags.member.1.Key`), so the pairs are first hung into a tree by the
parts of their names, and the shapes are read from the tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from tidemill.wire import scalar
from tidemill.wire.error import Mismatch, item_step, shorten, unreadable
from tidemill.wire.model import Ref, ServiceModel, Shape

_PARTS_MAX: Final = 64
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


class Node:
    """A place in the form: its own text, if it has one, and the places below it."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Node] = {}


ReadNode = Callable[[Node], Any]


def decode(pairs: Iterable[tuple[str, str]]) -> Node:
    """The tree of a form; of a repeated name the last value counts."""
    root = Node()
    for name, text in pairs:
        node = root
        parts = name.split(".", _PARTS_MAX)
        if len(parts) > _PARTS_MAX:
            raise Mismatch(f"The name '{shorten(name)}'", "a member's: it is nested too deeply")
        for part in parts:
            below = node.below.get(part)
            if below is None:
                below = node.below[part] = Node()
            node = below
        node.text = text
    return root


def reader_of(model: ServiceModel) -> FormReader:
    """The model's reader of forms; it is made once."""
    found: FormReader | None = model.compiled.get("form_reader")
    if found is None:
        found = model.compiled["form_reader"] = FormReader(model)
    return found


class FormReader:
    """Compiles shapes into closures from a form's tree to parameters.

    A closure raises Mismatch for what does not fit; unknown names are passed over.
    """

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._made: dict[str, ReadNode] = {}

    def structure(self, ref: Ref) -> ReadNode:
        """The closure for a structure."""
        return self._recursive(ref.shape, self._model.shape(ref))

    def _node(self, ref: Ref) -> ReadNode:
        shape = self._model.shape(ref)
        if shape.type == "structure":
            return self._recursive(ref.shape, shape)
        if shape.type == "list":
            return self._list(ref, shape)
        if shape.type == "map":
            return self._map(ref, shape)
        return _text_reader(scalar.reader(self._model, ref))

    def _recursive(self, name: str, shape: Shape) -> ReadNode:
        made = self._made.get(name)
        if made is None:
            self._made[name] = lambda node: self._made[name](node)
            made = self._made[name] = self._structure(shape)
        return made

    def _structure(self, shape: Shape) -> ReadNode:
        members: dict[str, tuple[str, ReadNode]] = {}
        for name, ref in shape.members.items():
            read_member = self._node(ref)
            for part in self._names(ref, name):
                members.setdefault(part, (name, read_member))

        def read(node: Node) -> dict[str, Any]:
            params = {}
            for part, below in node.below.items():
                member = members.get(part)
                if member is None:
                    continue
                name, read_member = member
                try:
                    params[name] = read_member(below)
                except Mismatch as mismatch:
                    raise mismatch.within(name) from None
            return params

        return read

    def _names(self, ref: Ref, name: str) -> list[str]:
        """What a member may be called: a flattened list also goes by the name of its items."""
        shape = self._model.shape(ref)
        names = [self._model.query_name(ref, name)]
        item = shape.member
        if item is not None and item.location_name and self._model.is_flattened(ref):
            names.append(item.location_name)
        return names

    def _list(self, ref: Ref, shape: Shape) -> ReadNode:
        assert shape.member is not None
        read_item = self._node(shape.member)
        flattened = self._model.is_flattened(ref)
        part = self._model.wire_name(shape.member, "member")

        def read(node: Node) -> list[Any]:
            items: list[Any] = []
            for below in _numbered(node if flattened else node.below.get(part, _NOTHING)):
                try:
                    items.append(read_item(below))
                except Mismatch as mismatch:
                    raise mismatch.within(item_step(len(items) + 1)) from None
            return items

        return read

    def _map(self, ref: Ref, shape: Shape) -> ReadNode:
        assert shape.key is not None
        assert shape.value is not None
        read_key, read_value = self._node(shape.key), self._node(shape.value)
        key_part = self._model.wire_name(shape.key, "key")
        value_part = self._model.wire_name(shape.value, "value")
        flattened = self._model.is_flattened(ref)

        def read(node: Node) -> dict[str, Any]:
            entries: dict[str, Any] = {}
            for below in _numbered(node if flattened else node.below.get("entry", _NOTHING)):
                if key_part not in below.below or value_part not in below.below:
                    raise Mismatch("An entry", f"a Map's: it has a {key_part} and a {value_part}")
                key = read_key(below.below[key_part])
                try:
                    entries[key] = read_value(below.below[value_part])
                except Mismatch as mismatch:
                    raise mismatch.within("member").within(key) from None
            return entries

        return read


_NOTHING: Final = Node()


def _numbered(node: Node) -> list[Node]:
    """The places below that are numbers, in their order; gaps do not matter."""
    numbers = []
    for part in node.below:
        if not _NUMBER.fullmatch(part):
            raise unreadable(part, "the number of an item, from 1")
        numbers.append(int(part))
    return [node.below[str(number)] for number in sorted(numbers)]


def _text_reader(read_text: scalar.Reader) -> ReadNode:
    def read(node: Node) -> Any:
        if node.text is None:
            part = next(iter(node.below), "")
            raise Mismatch(f"A structure with a member '{shorten(part)}'", "a single value")
        return read_text(node.text)

    return read
