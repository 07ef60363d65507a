"""Scalars as text: in headers, paths, query strings, forms and XML.

A reader turns a text into the value of its shape, or raises Mismatch; a writer turns a value into
text. Both are chosen once per use of a shape.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from tidemill.wire import timestamp
from tidemill.wire.error import unfit, unreadable
from tidemill.wire.model import Ref, ServiceModel

Reader = Callable[[str], Any]
Writer = Callable[[Any], str]

BLOB_WANTED: Final = "a Blob (base64 text)"
INT_RANGES: Final = {
    "integer": (-(2**31), 2**31 - 1, "an Integer"),
    "long": (-(2**63), 2**63 - 1, "a Long"),
}
SPECIAL_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT: Final = re.compile(
    r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?"
)
_BOOLEANS: Final = {"true": True, "false": False}


def reader(model: ServiceModel, ref: Ref) -> Reader:
    """What reads the text of a scalar shape; strings come back as they are."""
    kind = model.shape(ref).type
    if kind in INT_RANGES:
        return _integer_reader(*INT_RANGES[kind])
    return _READERS[kind]


def writer(model: ServiceModel, ref: Ref, timestamp_format: str) -> Writer:
    """What writes a scalar as text; `timestamp_format` is the default of the place."""
    kind = model.shape(ref).type
    if kind == "timestamp":
        return timestamp.text_writer(model.timestamp_format(ref, timestamp_format))
    return _WRITERS[kind]


def read_base64(text: str | bytes) -> bytes:
    """The bytes behind base64 text; Mismatch where it is not well-formed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise unfit("", BLOB_WANTED) from None


def write_base64(value: Any) -> str:
    """Base64 text of bytes; of a string, its UTF-8."""
    if isinstance(value, str):
        value = value.encode()
    return base64.b64encode(value).decode("ascii")


def special_float(value: float) -> str | None:
    """`NaN`, `Infinity` or `-Infinity`, for the floats that have no digits."""
    if math.isfinite(value):
        return None
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def check_string(value: Any) -> str:
    """A string a service handed over; members of string enumerations are strings."""
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, str):
        raise TypeError(f"a string is expected, not {type(value).__name__}")
    return value


def _integer_reader(low: int, high: int, wanted: str) -> Reader:
    def read(text: str) -> int:
        if _INTEGER.fullmatch(text):
            number = int(text)
            if low <= number <= high:
                return number
        raise unreadable(text, f"{wanted} ({low} to {high})")

    return read


def _read_string(text: str) -> str:
    return text


def _read_float(text: str) -> float:
    if text in SPECIAL_FLOATS:
        return SPECIAL_FLOATS[text]
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise unreadable(text, "a Double")


def _read_boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise unreadable(text, "a Boolean (true or false)") from None


def _write_integer(value: Any) -> str:
    return str(int(value))


def _write_float(value: Any) -> str:
    if isinstance(value, str):
        value = SPECIAL_FLOATS[value]
    return special_float(value) or str(value)


def _write_boolean(value: Any) -> str:
    return "true" if value else "false"


_READERS: Final[dict[str, Reader]] = {
    "string": _read_string,
    "character": _read_string,
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_boolean,
    "timestamp": timestamp.from_text,
    "blob": read_base64,
}
_WRITERS: Final[dict[str, Writer]] = {
    "string": check_string,
    "character": check_string,
    "integer": _write_integer,
    "long": _write_integer,
    "float": _write_float,
    "double": _write_float,
    "boolean": _write_boolean,
    "blob": write_base64,
}
