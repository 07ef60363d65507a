"""Values come back from JSON exactly as they went in, or are pickled instead."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.sdk.codec import JSON, PICKLE, Encoded, decode, dump_exception, encode, load_exception
from tidemill.sdk.shape import hints_of, shape_of


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


@dataclass
class Tree:
    name: str
    points: tuple[Point, ...] = ()
    children: list[Tree] = field(default_factory=list)
    best: Point | None = None


@dataclass
class Doubled:
    value: int

    def __post_init__(self) -> None:
        self.value *= 2


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Loose(Point):
    z: int = 0


def returned(value: Any, hint: Any = Any) -> tuple[str, Any]:
    shape = shape_of(hint)
    encoded = encode(value, shape)
    return encoded.kind, decode(encoded, shape)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_what_json_knows_comes_back_as_it_was(value: Any) -> None:
    _, again = returned(value)
    assert again == value
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "value",
    [(1, 2), {1: "a"}, b"bytes", Path("a"), {1, 2}, 1j, Level.LOW, [(1,)], math.inf, Point(1)],
)
def test_what_json_would_change_is_pickled(value: Any) -> None:
    assert returned(value) == (PICKLE, value)
    assert type(returned(value)[1]) is type(value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (Point(1, 2.5), Point),
        ([Point(1), Point(2)], list[Point]),
        ({"a": Point(1)}, dict[str, Point]),
        ((1, "a"), tuple[int, str]),
        ((Point(1), Point(2)), tuple[Point, ...]),
        (None, Point | None),
        (Point(3), Point | None),
        (Tree("a", (Point(1),), [Tree("b")], Point(2)), Tree),
    ],
)
def test_type_hints_carry_dataclasses_and_tuples_as_json(value: Any, hint: Any) -> None:
    assert returned(value, hint) == (JSON, value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"x": 1, "y": 0.0}, Point),  # a dict would come back as a Point
        ([1, 2], tuple[int, ...]),
        ((1, 2), list[int]),
        (Loose(1, 2.0, 3), Point),
        (Doubled(3), Doubled),  # its constructor would double it again
        ({"a": {"x": 1}}, dict[str, Point]),
    ],
)
def test_a_value_that_is_not_what_its_hint_says_is_pickled(value: Any, hint: Any) -> None:
    kind, again = returned(value, hint)
    assert (kind, again) == (PICKLE, value)
    assert type(again) is type(value)


def test_a_list_within_itself_is_pickled() -> None:
    value: list[Any] = []
    value.append(value)
    assert encode(value).kind == PICKLE


def test_what_pickle_refuses_is_refused() -> None:
    with pytest.raises(Exception, match="pickle"):
        encode(lambda: None)


def test_hints_that_name_nothing_are_no_hints() -> None:
    def function(a: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821 - the point
        ...

    assert hints_of(function) == {}


class TwoArguments(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


def test_an_exception_that_would_not_come_back_is_not_pickled() -> None:
    assert dump_exception(TwoArguments(1, 2)) == b""
    again = load_exception(dump_exception(KeyError("a")))
    assert isinstance(again, KeyError)
    assert again.args == ("a",)


def test_the_json_is_plain_text() -> None:
    assert encode([Point(1)], shape_of(list[Point])) == Encoded(JSON, b'[{"x":1,"y":0.0}]')
