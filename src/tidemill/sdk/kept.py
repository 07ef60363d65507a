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
from tidemill.sdk.shape import Shape

KEPT_BYTES: Final = 64 << 20
AHEAD: Final = 64
AHEAD_BYTES: Final = 1 << 18

_objects: OrderedDict[str, bytes] = OrderedDict()
_decoded: dict[tuple[str, int], Any] = {}


def stage(connection: Connection, url: str, index: int, shape: Shape) -> None:
    """Before a fork: have the object at `url` in memory, and the items of child `index`."""
    if (url, index) in _decoded:
        return
    whole = _objects.get(url)
    if whole is None:
        whole = bucket.get(connection, url)
        _keep(url, whole)
    # A dataclass's constructor, or a pickle, is the user's code: that runs in the child alone.
    if whole.startswith(bundle.MAGIC) and shape.is_certain:
        _decode_ahead(url, whole, index, shape)


def _decode_ahead(url: str, whole: bytes, first: int, shape: Shape) -> None:
    _decoded.clear()
    size = 0
    for index in range(first, min(first + AHEAD, bundle.size_of(whole))):
        chunk = bundle.chunk_of(whole, index)
        size += len(chunk.data)
        if chunk.kind != codec.JSON or size > AHEAD_BYTES:
            return
        _decoded[url, index] = codec.decode(chunk, shape)


def _keep(url: str, data: bytes) -> None:
    if len(data) > KEPT_BYTES:
        return
    _objects[url] = data
    while sum(map(len, _objects.values())) > KEPT_BYTES:
        _objects.popitem(last=False)


def items(connection: Connection, url: str, index: int, shape: Shape) -> Any:
    """The items of a map's child."""
    decoded = _decoded.get((url, index))
    if decoded is not None:
        return decoded
    whole = _objects.get(url)
    if whole is not None:
        return codec.decode(bundle.chunk_of(whole, index), shape)
    slot = bundle.read_slot(bucket.get(connection, url, bundle.slot_span(index)))
    return codec.decode(bundle.read_chunk(bucket.get(connection, url, slot)), shape)


def call(connection: Connection, url: str) -> bytes:
    """The payload of a single call."""
    whole = _objects.get(url)
    return bucket.get(connection, url) if whole is None else whole
