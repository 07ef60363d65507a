"""A job's inputs, and what a warm interpreter keeps of them for the children it forks.

A bundle that is not too large is read once, and the next children's items are decoded some at a
time before they are forked: work done here is done once, work done in a child is paid for with
copies of all the memory that it touches.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from tidemill.sdk import bucket, bundle, codec
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded
from tidemill.sdk.shape import Shape

KEPT_BYTES: Final = 64 << 20
AHEAD: Final = 64
AHEAD_BYTES: Final = 1 << 18

_objects: OrderedDict[str, bytes] = OrderedDict()
"""Whole objects; an empty one stands for one that is too large to keep."""
_decoded: dict[int, Any] = {}
"""Items by child, for the span that was staged last."""
_staged: tuple[str, range] = ("", range(0))


def is_staged(url: str, index: int) -> bool:
    """Whether `stage` has been called for this child, or for one a little before it."""
    return _staged[0] == url and index in _staged[1]


def stage(connection: Connection, url: str, index: int, shape: Shape) -> None:
    """Before a fork: have the object at `url` in memory, and the items of the next children."""
    global _staged
    _decoded.clear()
    _staged = (url, range(index, index + AHEAD))
    whole = _objects.get(url)
    if whole is None:
        whole = bucket.get_if_small(connection, url, KEPT_BYTES) or b""
        _keep(url, whole)
    # A dataclass's constructor, or a pickle, is the user's code: that runs in the child alone.
    if whole.startswith(bundle.MAGIC) and shape.is_certain:
        _decode_ahead(whole, shape)


def _decode_ahead(whole: bytes, shape: Shape) -> None:
    size = 0
    for index in _staged[1]:
        if index >= bundle.size_of(whole):
            return
        chunk = bundle.chunk_of(whole, index)
        size += len(chunk.data)
        if size > AHEAD_BYTES:
            return
        if chunk.kind == codec.JSON:
            _decoded[index] = codec.decode(chunk, shape)


def _keep(url: str, data: bytes) -> None:
    _objects[url] = data
    while sum(map(len, _objects.values())) > KEPT_BYTES:
        _objects.popitem(last=False)


def items(connection: Connection, url: str, index: int, shape: Shape) -> Any:
    """The items of a map's child."""
    if is_staged(url, index) and index in _decoded:
        return _decoded[index]
    return codec.decode(chunk(connection, url, index), shape)


def chunk(connection: Connection, url: str, index: int) -> Encoded:
    """One part of a bundle, as it was encoded."""
    whole = _objects.get(url)
    if whole:
        return bundle.chunk_of(whole, index)
    slot = bundle.read_slot(bucket.get(connection, url, bundle.slot_span(index)))
    return bundle.read_chunk(bucket.get(connection, url, slot))


def call(connection: Connection, url: str) -> bytes:
    """The payload of a single call."""
    return _objects.get(url) or bucket.get(connection, url)
