"""What a reader knows of the log store's files: where each stream's bytes are and when they came.

A segment's index is built by one pass over its records and goes on from there when the segment
has grown; a large stream's own file needs none, as the writer keeps its times beside it. Both
kinds answer the same two questions of a stream: its bytes from here to there, and the times at
which these were written.
"""

from __future__ import annotations

import os
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from tidemill.platform.log import CLOSE, DATA, HEADER, MARK, MOVED, OPEN, records

Times = list[tuple[int, int]]
"""(position, wall ms) ascending: from that byte on, output came at that time."""

_STRIDE: Final = 3  # of `Shared.chunks`: position in the stream, offset in the file, wall ms


class Shared:
    """A stream's part in its segment: 3 numbers a chunk, nothing of its name or bytes."""

    __slots__ = ("chunks", "closed", "created_ms", "moved", "opened_at", "size")

    def __init__(self, created_ms: int) -> None:
        self.opened_at = -1
        self.created_ms = created_ms
        self.chunks: array[int] | None = None
        self.size = 0
        self.moved = False
        self.closed = False


class Segment:
    """The index of one segment file; `refresh` takes in what was added since."""

    def __init__(self, path: str) -> None:
        """Raises `FileNotFoundError` where there is none."""
        self.path = path
        self.streams: dict[bytes, Shared] = {}
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._seen = 0
        weakref.finalize(self, os.close, self._file)

    @property
    def is_gone(self) -> bool:
        """Whether retention took the file away."""
        return os.fstat(self._file).st_nlink == 0

    def refresh(self) -> None:
        """Read the records that were added since."""
        for offset, kind, key, wall_ms, length, _ in records(self._file, self._seen):
            stream = self.streams.get(key)
            if stream is None:
                stream = self.streams[key] = Shared(wall_ms)
            if kind == DATA:
                self._add(stream, offset, wall_ms, length)
            elif kind == OPEN:
                stream.opened_at = offset
                stream.closed = False
            else:
                stream.moved |= kind == MOVED
                stream.closed |= kind == CLOSE
            self._seen = offset + HEADER.size + length

    def name(self, stream: Shared) -> str | None:
        """The whole name, read from the file; None when its record was lost to a full disk."""
        if stream.opened_at < 0:
            return None
        length = HEADER.unpack(os.pread(self._file, HEADER.size, stream.opened_at))[0]
        return os.pread(self._file, length, stream.opened_at + HEADER.size).decode()

    def read(self, stream: Shared, start: int, end: int) -> tuple[bytes, Times]:
        """The stream's bytes from `start` to `end` as far as they are in here."""
        parts: list[bytes] = []
        times: Times = []
        for position, offset, wall_ms, stop in self._chunks(stream, start):
            if position >= end:
                break
            low, high = max(start, position), min(end, stop)
            parts.append(os.pread(self._file, high - low, offset + low - position))
            times.append((low, wall_ms))
        return b"".join(parts), times

    def position_at(self, stream: Shared, wall_ms: int) -> int:
        """Where the output of `wall_ms` or later begins; the end of what is here when nowhere."""
        chunks = stream.chunks or array("Q")
        count = len(chunks) // _STRIDE
        i = bisect_left(range(count), wall_ms, key=lambda i: chunks[i * _STRIDE + 2])
        return chunks[i * _STRIDE] if i < count else stream.size

    def _add(self, stream: Shared, offset: int, wall_ms: int, length: int) -> None:
        if stream.chunks is None:
            stream.chunks = array("Q")
        stream.chunks.extend((stream.size, offset + HEADER.size, wall_ms))
        stream.size += length

    def _chunks(self, stream: Shared, start: int) -> Iterator[tuple[int, int, int, int]]:
        """(position, offset in the file, wall ms, end position) from the one that holds `start`."""
        chunks = stream.chunks
        if chunks is None:
            return
        count = len(chunks) // _STRIDE
        first = bisect_right(range(count), start, key=lambda i: chunks[i * _STRIDE]) - 1
        for i in range(max(first, 0), count):
            position, offset, wall_ms = chunks[i * _STRIDE : (i + 1) * _STRIDE]
            stop = chunks[(i + 1) * _STRIDE] if i + 1 < count else stream.size
            yield position, offset, wall_ms, stop


class Own:
    """A large stream's own file and its times; opened for one call, closed by `close`."""

    def __init__(self, path: str) -> None:
        """Raises `FileNotFoundError` where there is none."""
        self._file = os.open(f"{path}.log", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._marks = os.open(f"{path}.idx", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self._file)
            raise
        self._count = os.fstat(self._marks).st_size // MARK.size
        self.base = self._mark(0)[0] if self._count else 0
        self.end = self.base + os.fstat(self._file).st_size

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._file)
        os.close(self._marks)

    def read(self, start: int, end: int) -> tuple[bytes, Times]:
        """The stream's bytes from `start`, which is not before `base`, to `end`."""
        data = os.pread(self._file, end - start, start - self.base)
        return data, list(self._times(start, start + len(data)))

    def position_at(self, wall_ms: int) -> int:
        """Where the output of `wall_ms` or later begins; the end when nowhere."""
        i = bisect_left(range(self._count), wall_ms, key=lambda i: self._mark(i)[1])
        return min(self._mark(i)[0], self.end) if i < self._count else self.end

    def _times(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        first = bisect_right(range(self._count), start, key=lambda i: self._mark(i)[0]) - 1
        for i in range(max(first, 0), self._count):
            position, wall_ms = self._mark(i)
            if position >= end:
                return
            yield max(position, start), wall_ms

    def _mark(self, i: int) -> tuple[int, int]:
        position, wall_ms = MARK.unpack(os.pread(self._marks, MARK.size, i * MARK.size))
        return position, wall_ms
