"""What jobs leave behind in S3: one object for each child's attempt that came to an end.

An object's name says whose it is and how it reads: `00000042.01.j`, the child's index, its
attempt, and the kind. A small result travels in the name itself (`00000042.01.j.eyJhIjoxfQ`,
URL-safe base64), so that collecting thousands of them takes a few listings and no reads at all.
Kinds are the codec's `j` and `p`, and `e` for an exception.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidemill.sdk import bucket, codec, reference
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded
from tidemill.sdk.error import RemoteTraceback, TidemillError

EXCEPTION: Final = "e"
IN_NAME_BYTES: Final = 510  # 680 letters of base64: a key may have 1,024 bytes
INDEX_DIGITS: Final = 8
GENERATION: Final = 1000
"""What a child done again adds to its attempts' numbers, so that they are the later ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A result object's name, read. `data` is None when it lies in the object's body."""

    index: int
    attempt: int
    kind: str
    data: bytes | None
    text: str


def name_and_body(index: int, attempt: int, result: Encoded) -> tuple[str, bytes]:
    """The object that holds a result."""
    stem = f"{index:0{INDEX_DIGITS}d}.{attempt:02d}.{result.kind}"
    if len(result.data) > IN_NAME_BYTES:
        return stem, result.data
    return f"{stem}.{base64.urlsafe_b64encode(result.data).decode('ascii').rstrip('=')}", b""


def parse(text: str) -> Name:
    """Read an object's name."""
    index, attempt, kind, *inside = text.split(".")
    data = base64.urlsafe_b64decode(inside[0] + "=" * (-len(inside[0]) % 4)) if inside else None
    return Name(index=int(index), attempt=int(attempt), kind=kind, data=data, text=text)


def latest(names: Iterable[Name]) -> dict[int, Name]:
    """Each child's last word: an earlier attempt's counts no more."""
    found: dict[int, Name] = {}
    for name in names:
        if name.index not in found or found[name.index].attempt <= name.attempt:
            found[name.index] = name
    return found


def listed(connection: Connection, url: str, index: int | None = None) -> dict[int, Name]:
    """The names of all results under `url`, or of child `index`'s alone, by the child's index."""
    narrowed = "" if index is None else f"{index:0{INDEX_DIGITS}d}."
    return latest(parse(narrowed + text) for text in bucket.names(connection, url + narrowed))


def load(connection: Connection, url: str, names: Iterable[Name]) -> dict[int, Encoded]:
    """The results that these objects under `url` hold, by the child's index and in its order."""
    wanted = sorted(names, key=lambda name: name.index)
    apart = [name for name in wanted if name.data is None]
    bodies = bucket.get_many(connection, [url + name.text for name in apart])
    read = {name.index: body for name, body in zip(apart, bodies, strict=True)}
    return {
        name.index: Encoded(name.kind, read[name.index] if name.data is None else name.data)
        for name in wanted
    }


def collect(connection: Connection, url: str, index: int | None = None) -> dict[int, Encoded]:
    """All results under `url`, or child `index`'s alone, by the child's index."""
    return load(connection, url, listed(connection, url, index).values())


def of_exception(error: BaseException, item: int | None) -> Encoded:
    """An exception as a result, with its traceback and the place of the item that raised it."""
    import traceback

    content = {
        "type": reference.class_name(type(error)),
        "message": str(error),
        "traceback": reference.as_script("".join(traceback.format_exception(error))).rstrip(),
        "item": item,
        "pickle": base64.b64encode(codec.dump_exception(error)).decode("ascii"),
    }
    return Encoded(EXCEPTION, json.dumps(content).encode("utf-8"))


@dataclass(frozen=True, slots=True)
class RemoteError:
    """An exception that a job recorded: what to raise, and which of its chunk's items it was."""

    error: Exception
    item: int | None


class RemoteException(TidemillError):
    """Stands for an exception whose own type can't be rebuilt here."""


def exception_of(result: Encoded) -> RemoteError:
    """The exception again, of its own type when that can be imported here."""
    content = json.loads(result.data)
    error: Exception | None = codec.load_exception(base64.b64decode(content["pickle"]))
    if error is None:
        error = RemoteException(f"{content['type']}: {content['message']}")
    error.__cause__ = RemoteTraceback(content["traceback"])
    return RemoteError(error, content["item"])
