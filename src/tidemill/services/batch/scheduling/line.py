"""Jobs in line: sorted, with the first at hand and every place in it countable.

Kept in chunks, so that joining at the end, leaving from the front, leaving from the middle and
asking for a place all cost about the same with a thousand in line as with a million. Nothing is
deleted lazily: memory is what is in line.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tidemill.services.batch.scheduling.spec import Waiting

Entry = tuple[int, int, Waiting]
"""(rank, seq, job): a lower rank goes first, then the older; no two entries share both."""

_CHUNK = 512


class Line:
    """A sorted sequence of entries; `len` counts them."""

    __slots__ = ("_chunks", "_lasts", "_size")

    def __init__(self) -> None:
        self._chunks: list[list[Entry]] = []
        self._lasts: list[Entry] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for chunk in self._chunks:
            yield from chunk

    def first(self) -> Entry:
        """The one whose turn it is; there must be one."""
        return self._chunks[0][0]

    def add(self, entry: Entry) -> None:
        """Put `entry` where it belongs, which is mostly the end."""
        self._size += 1
        if not self._lasts or (entry > self._lasts[-1] and len(self._chunks[-1]) >= _CHUNK):
            self._chunks.append([entry])
            self._lasts.append(entry)
        elif entry > self._lasts[-1]:
            self._chunks[-1].append(entry)
            self._lasts[-1] = entry
        else:
            self._insert(entry)

    def _insert(self, entry: Entry) -> None:
        at = bisect_left(self._lasts, entry)
        chunk = self._chunks[at]
        chunk.insert(bisect_left(chunk, entry), entry)
        if len(chunk) > 2 * _CHUNK:
            self._chunks[at : at + 1] = [chunk[:_CHUNK], chunk[_CHUNK:]]
            self._lasts[at : at + 1] = [chunk[_CHUNK - 1], chunk[-1]]

    def remove(self, rank: int, seq: int) -> None:
        """Take the entry with this rank and seq out; it must be in line."""
        at, place = self._find(rank, seq)
        chunk = self._chunks[at]
        assert chunk[place][:2] == (rank, seq)
        del chunk[place]
        self._size -= 1
        if not chunk:
            del self._chunks[at], self._lasts[at]
        elif place == len(chunk):
            self._lasts[at] = chunk[-1]

    def count_before(self, rank: int, seq: int) -> int:
        """How many entries go before the place of this rank and seq."""
        if not self._lasts or (rank, seq) > self._lasts[-1][:2]:
            return self._size
        at, place = self._find(rank, seq)
        return sum(map(len, self._chunks[:at])) + place

    def _find(self, rank: int, seq: int) -> tuple[int, int]:
        # A pair sorts just before the triple that it begins.
        key = (rank, seq)
        if self._chunks[0][0][:2] == key:
            return 0, 0
        at = bisect_left(self._lasts, key)
        return at, bisect_left(self._chunks[at], key)
