"""What a type hint promises, as a pair of functions between a value and plain JSON data.

Only what comes back exactly as it went is taken: a list that is hinted as a tuple, a dict that is
hinted as a dataclass, an int subclass, a key that is no string all raise `NotExact`, and the value
is pickled instead. Both sides compile the same hint, so the data needs no tags.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from tidemill.sdk import parcel
from tidemill.sdk.file import File

_LEAVES = frozenset({str, int, float, bool, type(None)})


class NotExact(Exception):
    """A value that JSON under this hint would not give back exactly."""


class Shape(Protocol):
    """`dump` gives plain data or raises `NotExact`; `load` undoes it.

    `is_certain` is False when `load` runs code of the user's (a dataclass's constructor), so that
    only a comparison tells whether the value really comes back.
    """

    is_certain: bool

    def dump(self, value: Any) -> Any: ...
    def load(self, data: Any) -> Any: ...


class Plain:
    """JSON's own types, exactly; what any unknown hint compiles to."""

    is_certain = True

    def dump(self, value: Any) -> Any:
        if not _is_plain(value):
            raise NotExact
        return value

    def load(self, data: Any) -> Any:
        return data


def _is_plain(value: Any) -> bool:
    if type(value) in _LEAVES:
        return True
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return False


class _Sequence:
    """`list[T]` or `tuple[T, ...]`."""

    def __init__(self, kind: Any, item: Shape) -> None:
        self._kind, self._item = kind, item
        self.is_certain = item.is_certain

    def dump(self, value: Any) -> Any:
        if type(value) is not self._kind:
            raise NotExact
        return [self._item.dump(item) for item in value]

    def load(self, data: Any) -> Any:
        if self._item is PATH and data and all(type(item) is dict for item in data):
            return self._kind(parcel.arrive_all([item["url"] for item in data]))
        return self._kind(map(self._item.load, data))


class _Tuple:
    """`tuple[A, B]`: a fixed number, each of its own kind."""

    def __init__(self, items: list[Shape]) -> None:
        self._items = items
        self.is_certain = all(item.is_certain for item in items)

    def dump(self, value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(self._items):
            raise NotExact
        return [shape.dump(item) for shape, item in zip(self._items, value, strict=True)]

    def load(self, data: Any) -> Any:
        return tuple(shape.load(item) for shape, item in zip(self._items, data, strict=True))


class _Mapping:
    """`dict[str, T]`."""

    def __init__(self, item: Shape) -> None:
        self._item = item
        self.is_certain = item.is_certain

    def dump(self, value: Any) -> Any:
        if type(value) is not dict or not all(type(key) is str for key in value):
            raise NotExact
        return {key: self._item.dump(item) for key, item in value.items()}

    def load(self, data: Any) -> Any:
        return {key: self._item.load(item) for key, item in data.items()}


class _Optional:
    """`T | None`."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.is_certain = shape.is_certain

    def dump(self, value: Any) -> Any:
        return None if value is None else self._shape.dump(value)

    def load(self, data: Any) -> Any:
        return None if data is None else self._shape.load(data)


class _Record:
    """A dataclass, field by field; its fields' shapes are made when first needed (it may recur)."""

    is_certain = False

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._fields: dict[str, Shape] | None = None

    def fields(self) -> dict[str, Shape]:
        if self._fields is None:
            hints = hints_of(self._kind)
            names = [field.name for field in dataclasses.fields(self._kind)]
            self._fields = {name: shape_of(hints.get(name)) for name in names}
        return self._fields

    def dump(self, value: Any) -> Any:
        if type(value) is not self._kind:
            raise NotExact
        return {name: shape.dump(getattr(value, name)) for name, shape in self.fields().items()}

    def load(self, data: Any) -> Any:
        return self._kind(**{name: shape.load(data[name]) for name, shape in self.fields().items()})


class _File:
    """A `File`, as its URL."""

    is_certain = True

    def dump(self, value: Any) -> Any:
        if type(value) is not File:
            raise NotExact
        return value.url

    def load(self, data: Any) -> Any:
        return File(data)


class _Path:
    """A `Path`: the name that it is, or where the file lies that was sent with a result."""

    is_certain = True

    def dump(self, value: Any) -> Any:
        if type(value) is not _PATH_TYPE:
            raise NotExact
        outgoing = parcel.outgoing()
        url = None if outgoing is None else outgoing.url_of(value)
        return str(value) if url is None else {"url": url}

    def load(self, data: Any) -> Any:
        return parcel.arrive(data["url"]) if type(data) is dict else Path(data)


_PATH_TYPE = type(Path())
PATH = _Path()
FILE = _File()
PLAIN = Plain()


def shape_of(hint: Any) -> Shape:
    """The shape of a hint; a hint that says nothing useful is `PLAIN`."""
    try:
        return _compile(hint)
    except TypeError:  # a hint that can't be hashed
        return PLAIN


@lru_cache(maxsize=1024)
def _compile(hint: Any) -> Shape:
    if hint is Path or hint is _PATH_TYPE:
        return PATH
    if hint is File:
        return FILE
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _Record(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return _Sequence(list, shape_of(arguments[0]))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _Sequence(tuple, shape_of(arguments[0]))
    if origin is tuple:
        return _Tuple([shape_of(argument) for argument in arguments])
    if origin is dict and arguments[0] is str:
        return _Mapping(shape_of(arguments[1]))
    if origin in (typing.Union, types.UnionType) and type(None) in arguments:
        others = [argument for argument in arguments if argument is not type(None)]
        return _Optional(shape_of(others[0])) if len(others) == 1 else PLAIN
    return PLAIN


def hints_of(thing: Callable[..., Any] | type) -> dict[str, Any]:
    """Its type hints, or none of them when a name in them can't be resolved at run time."""
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError, AttributeError):
        return {}
