"""All inputs of a map as one object: an index of offsets, then each chunk's bytes.

A job reads its own chunk alone: one range of the index, one of the bytes. A warm interpreter
reads a whole bundle once for all the children it forks.

    "TMB1" | chunks: u32 | offsets: (chunks + 1) x u64 | chunk 0 | chunk 1 | ...

Little-endian; offsets count from the start of the object. A chunk is its kind's letter and the
encoded list of its items.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

from tidemill.sdk.codec import Encoded

MAGIC = b"TMB1"
_HEAD = struct.Struct("<4sI")
_SLOT = struct.Struct("<QQ")
_OFFSET = struct.Struct("<Q")


def pack(chunks: Sequence[Encoded]) -> bytes:
    """The bundle of these chunks, in this order."""
    start = _HEAD.size + _OFFSET.size * (len(chunks) + 1)
    offsets = [*accumulate((1 + len(chunk.data) for chunk in chunks), initial=start)]
    index = struct.pack(f"<{len(offsets)}Q", *offsets)
    body = (part for chunk in chunks for part in (chunk.kind.encode("ascii"), chunk.data))
    return b"".join([_HEAD.pack(MAGIC, len(chunks)), index, *body])


def size_of(bundle: bytes) -> int:
    """How many chunks a bundle holds."""
    return int(_HEAD.unpack_from(bundle)[1])


def slot_span(index: int) -> tuple[int, int]:
    """Where in the bundle it says where chunk `index` lies."""
    start = _HEAD.size + _OFFSET.size * index
    return start, start + _SLOT.size


def read_slot(slot: bytes) -> tuple[int, int]:
    """Where chunk lies whose slot this is."""
    start, end = _SLOT.unpack(slot)
    return start, end


def read_chunk(data: bytes) -> Encoded:
    """A chunk from the bytes of its span."""
    return Encoded(data[:1].decode("ascii"), data[1:])


def chunk_of(bundle: bytes, index: int) -> Encoded:
    """Chunk `index` of a whole bundle."""
    start, end = _SLOT.unpack_from(bundle, slot_span(index)[0])
    return read_chunk(bundle[start:end])
