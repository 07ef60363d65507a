"""CBOR bodies: the protocol smithy-rpc-v2-cbor."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

import cbor2

from tidemill.wire import timestamp
from tidemill.wire.error import Mismatch, unfit
from tidemill.wire.json_body import (
    integer_reader,
    read_timestamp,
    refuse,
    write_boolean,
    write_integer,
)
from tidemill.wire.scalar import SPECIAL_FLOATS, check_string
from tidemill.wire.tree import Leaf, TreeForm

_EPOCH_TAG: Final = 1
# Tags whose built-in decoders make something other than plain data (regular expressions, shared
# and cyclic references, rationals, messages): the protocol has no use for any of them.
_REFUSED_TAGS: Final = (0, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43000, 256, 258, 260, 261)
_DEPTH_MAX: Final = 200


def decode(body: bytes) -> Any:
    """The tree behind a CBOR item; Mismatch when it is not one."""
    try:
        return cbor2.loads(
            body,
            semantic_decoders=_SEMANTIC_DECODERS,
            tag_hook=_refuse_tag,
            max_depth=_DEPTH_MAX,
            strict_hashable_types=True,
        )
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Mismatch("The body", f"a Structure: it is not CBOR ({error})") from None


def encode(tree: Any) -> bytes:
    """The CBOR item of a tree; timestamps are already tagged."""
    return cbor2.dumps(tree)


def _refuse_tag(_decoder: Any, _tag: Any = None) -> Any:
    raise ValueError("only tag 1, a time in Unix seconds, is known")


_SEMANTIC_DECODERS: Final = dict.fromkeys(_REFUSED_TAGS, _refuse_tag)


def _read_float(value: Any) -> float:
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    raise unfit(value, "a Double")


def _read_moment(value: Any) -> Any:
    return value if isinstance(value, datetime) else read_timestamp(value)


def _write_blob(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _write_float(value: Any) -> float:
    if isinstance(value, str):
        value = SPECIAL_FLOATS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number is expected, not {type(value).__name__}")
    return float(value)


def _write_timestamp(value: Any) -> Any:
    number = timestamp.to_number(value)
    assert math.isfinite(number)
    return cbor2.CBORTag(_EPOCH_TAG, number)


_STRING: Final[Leaf] = (str, refuse("a String"))

FORM: Final = TreeForm(
    name="cbor",
    readers={
        "string": _STRING,
        "character": _STRING,
        "integer": (None, integer_reader("integer")),
        "long": (None, integer_reader("long")),
        "float": (float, _read_float),
        "double": (float, _read_float),
        "boolean": (bool, refuse("a Boolean")),
        "timestamp": (None, _read_moment),
        "blob": (bytes, refuse("a Blob (a byte string)")),
    },
    writers={
        "string": (str, check_string),
        "character": (str, check_string),
        "integer": (int, write_integer),
        "long": (int, write_integer),
        "float": (float, _write_float),
        "double": (float, _write_float),
        "boolean": (bool, write_boolean),
        "blob": (bytes, _write_blob),
    },
    # CBOR has a tag of its own for times, so a model's timestampFormat does not count here.
    write_timestamp=dict.fromkeys(("unixtimestamp", "iso8601", "rfc822"), _write_timestamp),
)
