"""Values to bytes and back: JSON where it gives back exactly what it was given, else pickle.

JSON is readable in the console and by other programs, and outlives a change of Python. A value
is marked by one letter: `j` for JSON, `p` for pickle.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tidemill.sdk import parcel, reference
from tidemill.sdk.shape import PLAIN, NotExact, Shape

JSON: Final = "j"
PICKLE: Final = "p"


def _json_writer() -> Callable[[Any], str]:
    """Values to compact JSON; what it can't write raises as `json` does.

    `JSONEncoder.encode` makes a new encoder for every value, out of memory that a forked job has
    to copy first.
    """
    from json import encoder

    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:  # a Python without it
        return json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    write = make(None, None, encoder.encode_basestring_ascii, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


_to_json: Final = _json_writer()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as bytes, with the letter that says how to read them."""

    kind: str
    data: bytes


def encode(value: Any, shape: Shape = PLAIN) -> Encoded:
    """`value` as JSON if that gives it back exactly, else pickled; raises what pickle raises."""
    data = _exact_json(value, shape)
    if data is not None:
        return Encoded(JSON, data)
    return Encoded(PICKLE, _pickled(value))


def decode(encoded: Encoded, shape: Shape = PLAIN) -> Any:
    """The value again; `shape` must be of the hint that it was encoded with."""
    if encoded.kind == JSON:
        return shape.load(json.loads(encoded.data))
    return _Unpickler(io.BytesIO(encoded.data)).load()


def _exact_json(value: Any, shape: Shape) -> bytes | None:
    try:
        text = _to_json(shape.dump(value))
        if not shape.is_certain and shape.load(json.loads(text)) != value:
            return None
    except (NotExact, ValueError, TypeError, AttributeError, RecursionError):
        # ValueError is NaN or a list within itself, TypeError and AttributeError a dataclass whose
        # constructor does not take its own fields: pickle knows what to do with each.
        return None
    return text.encode("ascii")


def _pickled(value: Any) -> bytes:
    if not parcel.is_begun():
        return pickle.dumps(value, protocol=5)
    data = io.BytesIO()
    _Pickler(data, protocol=5).dump(value)
    return data.getvalue()


class _Pickler(pickle.Pickler):
    """Writes what a job returns, whose files go along."""

    def reducer_override(self, value: Any) -> Any:
        return parcel.reduce(value)


class _Unpickler(pickle.Unpickler):
    """Reads what another process pickled, where the program's main module may be named else."""

    def find_class(self, module: str, name: str) -> Any:
        if not reference.is_main(module):
            return super().find_class(module, name)
        found: Any = reference.main_module()
        for part in name.split("."):
            found = getattr(found, part)
        return found


def load_exception(data: bytes) -> Exception | None:
    """A pickled exception, or None when its type is not here or can't be rebuilt.

    Nothing but an `Exception`: that a job called `sys.exit` must not end its submitter.
    """
    try:
        found = _Unpickler(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - any code of the user's may run here, and fail
        return None
    return found if isinstance(found, Exception) else None


def dump_exception(error: BaseException) -> bytes:
    """The exception pickled, or nothing when that fails or would not come back."""
    try:
        data = pickle.dumps(error, protocol=5)
    except Exception:  # noqa: BLE001 - likewise
        return b""
    return data if load_exception(data) is not None else b""


def warm() -> None:
    """Import what the first call would."""
    importlib.import_module("json.encoder")
    decode(encode([None, {"a": 1.5}]))
    decode(encode({1: ()}))
