"""Shapes over trees of dicts and lists: what JSON and CBOR bodies have in common.

A codec is compiled per shape, once, into closures. Beside each closure stands the Python type of
values that need no closure at all, so that a string member costs one type check and no call. The
form (JSON or CBOR) brings only its leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.wire.error import Mismatch, item_step, unfit
from tidemill.wire.model import Ref, ServiceModel, Shape

Convert = Callable[[Any], Any]
Leaf = tuple[type | None, Convert]
"""The type of values that pass as they are, and the closure for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeForm:
    """What tells one tree form from another: how its leaves are read and written.

    `name` tells its codecs apart among those that a model keeps. Timestamps are written by
    `write_timestamp[format]`, where the default format is the form's.
    """

    name: str
    readers: Mapping[str, Leaf]
    writers: Mapping[str, Leaf]
    write_timestamp: Mapping[str, Convert]


def reader_of(model: ServiceModel, form: TreeForm) -> TreeReader:
    """The model's reader of trees in `form`; it is made once."""
    found: TreeReader | None = model.compiled.get(("reader", form.name))
    if found is None:
        found = model.compiled["reader", form.name] = TreeReader(model, form)
    return found


def writer_of(model: ServiceModel, form: TreeForm) -> TreeWriter:
    """The model's writer of trees in `form`; it is made once."""
    found: TreeWriter | None = model.compiled.get(("writer", form.name))
    if found is None:
        found = model.compiled["writer", form.name] = TreeWriter(model, form)
    return found


class TreeReader:
    """Compiles shapes into closures from a decoded tree to parameters.

    A closure raises Mismatch for what does not fit. Unknown members are passed over, as AWS does,
    and so are members that are null.
    """

    def __init__(self, model: ServiceModel, form: TreeForm) -> None:
        self._model = model
        self._form = form
        self._made: dict[str, Convert] = {}

    def leaf(self, ref: Ref) -> Leaf:
        """How to read the use of a shape."""
        shape = self._model.shape(ref)
        if shape.document:
            return None, _as_it_is
        if shape.type in ("structure", "list", "map"):
            return None, self._container(ref.shape, shape)
        return self._form.readers[shape.type]

    def structure(self, ref: Ref, names: list[str] | None = None) -> Convert:
        """The closure for a structure, or for those members of it that `names` lists."""
        shape = self._model.shape(ref)
        return self._structure(shape, shape.members.keys() if names is None else names)

    def _container(self, name: str, shape: Shape) -> Convert:
        made = self._made.get(name)
        if made is not None:
            return made
        # A recursive shape finds this forwarder while its own closure is being made.
        self._made[name] = lambda value: self._made[name](value)
        if shape.type == "structure":
            self._made[name] = self._structure(shape, shape.members)
        elif shape.type == "list":
            assert shape.member is not None
            self._made[name] = _list_reader(*self.leaf(shape.member))
        else:
            assert shape.value is not None
            self._made[name] = _map_reader(*self.leaf(shape.value))
        return self._made[name]

    def _structure(self, shape: Shape, names: Any) -> Convert:
        model = self._model
        members = {}
        for name in names:
            ref = shape.members[name]
            want, read = self.leaf(ref)
            members[model.wire_name(ref, name)] = (name, want, read)
        return _structure_reader(members)


def _as_it_is(value: Any) -> Any:
    return value


def _structure_reader(members: dict[str, tuple[str, type | None, Convert]]) -> Convert:
    find = members.get

    def read(tree: Any) -> dict[str, Any]:
        if type(tree) is not dict:
            raise unfit(tree, "a Structure")
        params = {}
        for key, value in tree.items():
            member = find(key)
            if member is None or value is None:
                continue
            name, want, read_value = member
            if type(value) is want:
                params[name] = value
                continue
            try:
                params[name] = read_value(value)
            except Mismatch as mismatch:
                raise mismatch.within(name) from None
        return params

    return read


def _list_reader(want: type | None, read_item: Convert) -> Convert:
    def read(tree: Any) -> list[Any]:
        if type(tree) is not list:
            raise unfit(tree, "a List")
        items = []
        for item in tree:
            if type(item) is want:
                items.append(item)
                continue
            try:
                if item is None:
                    raise unfit(item, "an item: a List has no nulls")
                items.append(read_item(item))
            except Mismatch as mismatch:
                raise mismatch.within(item_step(len(items) + 1)) from None
        return items

    return read


def _map_reader(want: type | None, read_value: Convert) -> Convert:
    def read(tree: Any) -> dict[str, Any]:
        if type(tree) is not dict:
            raise unfit(tree, "a Map")
        entries = {}
        for key, value in tree.items():
            if type(key) is not str:
                raise unfit(key, "the key of a Map: a String")
            if type(value) is want:
                entries[key] = value
                continue
            try:
                if value is None:
                    raise unfit(value, "a value: a Map has no nulls")
                entries[key] = read_value(value)
            except Mismatch as mismatch:
                raise mismatch.within("member").within(key) from None
        return entries

    return read


class TreeWriter:
    """Compiles shapes into closures from a result to the tree that is encoded.

    Members that are None are left out. A member the shape does not have, or a value of the wrong
    type, is our own mistake: TypeError, which names it.
    """

    def __init__(self, model: ServiceModel, form: TreeForm) -> None:
        self._model = model
        self._form = form
        self._made: dict[str, Convert] = {}

    def leaf(self, ref: Ref) -> Leaf:
        """How to write the use of a shape."""
        shape = self._model.shape(ref)
        if shape.document:
            return None, _as_it_is
        if shape.type in ("structure", "list", "map"):
            return None, self._container(ref.shape, shape)
        if shape.type == "timestamp":
            form = self._model.timestamp_format(ref, "unixtimestamp").lower()
            return None, self._form.write_timestamp[form]
        return self._form.writers[shape.type]

    def structure(self, ref: Ref, names: list[str] | None = None) -> Convert:
        """The closure for a structure, or for those members of it that `names` lists."""
        shape = self._model.shape(ref)
        return self._structure(ref.shape, shape, shape.members.keys() if names is None else names)

    def _container(self, name: str, shape: Shape) -> Convert:
        made = self._made.get(name)
        if made is not None:
            return made
        self._made[name] = lambda value: self._made[name](value)
        if shape.type == "structure":
            self._made[name] = self._structure(name, shape, shape.members)
        elif shape.type == "list":
            assert shape.member is not None
            self._made[name] = _list_writer(*self.leaf(shape.member))
        else:
            assert shape.value is not None
            self._made[name] = _map_writer(*self.leaf(shape.value))
        return self._made[name]

    def _structure(self, shape_name: str, shape: Shape, names: Any) -> Convert:
        members = {}
        for name in names:
            ref = shape.members[name]
            want, write = self.leaf(ref)
            members[name] = (self._model.wire_name(ref, name), want, write)
        return _structure_writer(shape_name, members)


def _structure_writer(
    shape_name: str, members: dict[str, tuple[str, type | None, Convert]]
) -> Convert:
    def write(result: Any) -> dict[str, Any]:
        tree = {}
        try:
            for name, value in result.items():
                if value is None:
                    continue
                key, want, write_value = members[name]
                tree[key] = value if type(value) is want else write_value(value)
        except KeyError:
            raise TypeError(f"{shape_name} has no member {name!r}") from None
        except TypeError as error:
            raise TypeError(f"{shape_name}.{name}: {error}") from None
        return tree

    return write


def _list_writer(want: type | None, write_item: Convert) -> Convert:
    def write(result: Any) -> list[Any]:
        return [item if type(item) is want else write_item(item) for item in result]

    return write


def _map_writer(want: type | None, write_value: Convert) -> Convert:
    def write(result: Any) -> dict[str, Any]:
        return {
            key: value if type(value) is want else write_value(value)
            for key, value in result.items()
        }

    return write
