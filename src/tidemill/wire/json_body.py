"""JSON bodies: json 1.0, json 1.1 and rest-json."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from tidemill.wire import timestamp
from tidemill.wire.error import Mismatch, unfit
from tidemill.wire.scalar import (
    BLOB_WANTED,
    INT_RANGES,
    SPECIAL_FLOATS,
    check_string,
    read_base64,
    special_float,
    write_base64,
)
from tidemill.wire.tree import Convert, Leaf, TreeForm

_DECODE: Final = msgspec.json.Decoder().decode
encode: Final = msgspec.json.Encoder().encode


def decode(body: bytes) -> Any:
    """The tree behind a JSON text; integers are exact. Mismatch when it is not one."""
    try:
        return _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Mismatch("The body", f"a Structure: it is not JSON ({error})") from None
    except RecursionError:
        raise Mismatch("The body", "a Structure: it is nested too deeply") from None


def refuse(wanted: str) -> Convert:
    """A reader for a type whose every fitting value passes as it is."""

    def read(value: Any) -> Any:
        raise unfit(value, wanted)

    return read


def integer_reader(kind: str) -> Convert:
    """A reader for `integer` or `long`: whole numbers within the type's range."""
    low, high, wanted = INT_RANGES[kind]
    wanted = f"{wanted} ({low} to {high})"

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise unfit(value, wanted)
        return value

    return read


def read_float(value: Any) -> float:
    """A float from a number, or from the name of one that has no digits."""
    try:
        if type(value) is int:
            return float(value)
        if type(value) is str:
            return SPECIAL_FLOATS[value]
    except (OverflowError, KeyError):
        pass
    raise unfit(value, "a Double")


def read_timestamp(value: Any) -> Any:
    """A time from a number of seconds or a text."""
    if type(value) is str:
        return timestamp.from_text(value)
    if type(value) is int or type(value) is float:
        return timestamp.from_number(value)
    raise unfit(value, timestamp.WANTED)


def write_integer(value: Any) -> int:
    """An int from what is one by another type (IntEnum); TypeError else."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer is expected, not {type(value).__name__}")
    return int(value)


def write_boolean(value: Any) -> bool:
    """Only what fits passes, and that never comes here."""
    raise TypeError(f"a boolean is expected, not {type(value).__name__}")


def _read_blob(value: Any) -> bytes:
    if type(value) is not str:
        raise unfit(value, BLOB_WANTED)
    return read_base64(value)


def _write_float(value: Any) -> Any:
    if isinstance(value, str) and value in SPECIAL_FLOATS:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number is expected, not {type(value).__name__}")
    return value if math.isfinite(value) else special_float(value)


_STRING: Final[Leaf] = (str, refuse("a String"))

FORM: Final = TreeForm(
    name="json",
    readers={
        "string": _STRING,
        "character": _STRING,
        "integer": (None, integer_reader("integer")),
        "long": (None, integer_reader("long")),
        "float": (float, read_float),
        "double": (float, read_float),
        "boolean": (bool, refuse("a Boolean")),
        "timestamp": (None, read_timestamp),
        "blob": (None, _read_blob),
    },
    writers={
        "string": (str, check_string),
        "character": (str, check_string),
        "integer": (int, write_integer),
        "long": (int, write_integer),
        "float": (None, _write_float),
        "double": (None, _write_float),
        "boolean": (bool, write_boolean),
        "blob": (None, write_base64),
    },
    write_timestamp={
        "unixtimestamp": timestamp.to_number,
        "iso8601": timestamp.to_iso8601,
        "rfc822": timestamp.to_rfc822,
    },
)
