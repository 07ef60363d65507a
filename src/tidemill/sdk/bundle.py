"""All inputs of a map as one object: an index of offsets, then each chunk's bytes.

A job reads its own chunk alone: one range of the index, one of the bytes. A warm interpreter
reads a whole bundle once for all the children it forks.

    "TMB1" | chunks: u32 | offsets: (chunks + 1) x u64 | chunk 0 | chunk 1 | ...

Little-endian; offsets count from the start of the object. A chunk is its kind's letter and the
encoded list of its items.
"""

from __future__ import annotations

import io
import os
import struct
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from tidemill.sdk.codec import Encoded

MAGIC = b"TMB1"
_HEAD = struct.Struct("<4sI")
_SLOT = struct.Struct("<QQ")
_OFFSET = struct.Struct("<Q")
JOINED_BYTES_MAX = 8 << 20


def pack(chunks: Sequence[Encoded]) -> bytes | Parts:
    """The bundle of these chunks, in this order; a large one is not made a second copy of them."""
    start = _HEAD.size + _OFFSET.size * (len(chunks) + 1)
    offsets = [*accumulate((1 + len(chunk.data) for chunk in chunks), initial=start)]
    index = struct.pack(f"<{len(offsets)}Q", *offsets)
    body = (part for chunk in chunks for part in (chunk.kind.encode("ascii"), chunk.data))
    parts = [_HEAD.pack(MAGIC, len(chunks)), index, *body]
    return b"".join(parts) if offsets[-1] <= JOINED_BYTES_MAX else Parts(parts)


class Parts(io.RawIOBase):
    """Bytes one after another, read like a file."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        super().__init__()
        self._parts = parts
        self._ends = [*accumulate(map(len, parts))]
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to where the next read begins."""
        self._at = (
            offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ends[-1]}[whence]
        )
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As much as the buffer holds."""
        view, filled = memoryview(buffer).cast("B"), 0
        place = bisect_right(self._ends, self._at)
        while filled < len(view) and place < len(self._parts):
            part = self._parts[place]
            begin = self._at - (self._ends[place] - len(part))
            taken = memoryview(part)[begin : begin + len(view) - filled]
            view[filled : filled + len(taken)] = taken
            filled += len(taken)
            self._at += len(taken)
            place += 1
        return filled


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
