"""The log store's writing side: what a wake-up gathers goes out as one write per file.

One writer a folder. While a stream is open its segment is locked (`flock`), so that retention
never takes away what is still written to. Nothing is synced: output survives the death of any
process, as the kernel holds it.

When the disk is full, jobs are not held up: what can't be written waits for a later `flush`, and
its file stays open until then. Beyond a bound it is dropped; `LogWriter.lost_bytes` says how much.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Final

from tidemill.platform.log import (
    CLOSE,
    DATA,
    HEADER,
    MARK,
    MOVED,
    OPEN,
    SHARED_BYTES_MAX,
    Place,
    locate,
    records,
)

WAITING_BYTES_MAX: Final = 1024 * 1024
"""What one file keeps for later while the disk is full."""


class LogWriter:
    """Appends to streams; nothing is on disk before `flush`."""

    def __init__(self, folder: os.PathLike[str] | str) -> None:
        self._folder = os.fspath(folder)
        self._segments: dict[str, _Segment] = {}
        self._newest: _Segment | None = None
        self._dirty: dict[_Segment | _OwnFile, None] = {}
        self.lost_bytes = 0

    def open(self, group: str, stream: str, at_ms: int) -> LogStream:
        """Begin `stream`, or go on with it where an earlier writer left off.

        Raises `ValueError` for a name that does not end in 32 hex digits, `OSError` when its
        file can't be made.
        """
        place = locate(self._folder, group, stream)
        segment = self._segment(place)
        segment.open_count += 1
        segment.pending.append(_record(OPEN, place.key, at_ms, stream.encode()))
        self._dirty[segment] = None
        return LogStream(self, segment, place, at_ms)

    def flush(self) -> None:
        """Hand to the kernel what was appended since, one write per file."""
        if self._dirty:
            dirty, self._dirty = self._dirty, {}
            for file in dirty:
                self._flush(file)

    @property
    def is_waiting(self) -> bool:
        """Whether something could not be written yet, so that `flush` is to be called again."""
        return bool(self._dirty)

    def close(self) -> None:
        """Flush, and let go of every file; open streams must have been closed."""
        self.flush()
        for file in dict.fromkeys([*self._segments.values(), *self._dirty]):
            file.close()
        self._segments.clear()
        self._dirty.clear()
        self._newest = None

    def touch(self, file: _Segment | _OwnFile) -> None:
        """Have the next `flush` see to `file`."""
        self._dirty[file] = None

    def rest(self, file: _Segment | _OwnFile) -> None:
        """Close a file that no open stream writes to; the newest segment stays at hand.

        What can't be written for now keeps it open: the `flush` that succeeds closes it.
        """
        if isinstance(file, _Segment) and (file.open_count or file is self._newest):
            return
        file.is_left = False
        if file in self._dirty:
            del self._dirty[file]
            self._flush(file)
        if file.pending:
            file.is_left = True
            return
        if isinstance(file, _Segment):
            self._segments.pop(file.path, None)
        file.close()

    def _flush(self, file: _Segment | _OwnFile) -> None:
        self.lost_bytes += file.flush()
        if file.pending:
            self._dirty[file] = None
        elif file.is_left:
            self.rest(file)

    def _segment(self, place: Place) -> _Segment:
        segment = self._segments.get(place.segment)
        if segment is None:
            segment = self._segments[place.segment] = _Segment(place.segment)
            previous, self._newest = self._newest, segment
            if previous is not None:
                self.rest(previous)
        return segment


class LogStream:
    """One open stream. Times never run backwards within it."""

    __slots__ = ("_at_ms", "_key", "_own", "_own_path", "_partial", "_segment", "_size",
                 "_taken", "_writer")  # fmt: skip

    def __init__(self, writer: LogWriter, segment: _Segment, place: Place, at_ms: int) -> None:
        self._writer = writer
        self._segment = segment
        self._key = place.key
        self._own_path = place.own
        self._own: _OwnFile | None = None
        self._at_ms = at_ms
        self._size, self._taken = segment.left.pop(place.key, (0, 0))
        self._partial = False

    def append(self, at_ms: int, data: bytes) -> None:
        """Add output that was seen at `at_ms`."""
        at_ms = self._at_ms = max(at_ms, self._at_ms)
        self._partial = not data.endswith(b"\n")
        self._taken += HEADER.size + len(data)
        if self._taken <= SHARED_BYTES_MAX:
            self._size += len(data)
            self._segment.pending.append(_record(DATA, self._key, at_ms, data))
            self._writer.touch(self._segment)
            return
        if self._own is None:
            try:
                self._own = _OwnFile(self._own_path, self._size)
            except OSError:
                self._writer.lost_bytes += len(data)
                return
            self._segment.pending.append(_record(MOVED, self._key, at_ms, b""))
            self._writer.touch(self._segment)
        self._own.pending.append((at_ms, data))
        self._writer.touch(self._own)

    def close(self, at_ms: int) -> None:
        """Say that no more output comes."""
        segment = self._segment
        if self._partial:
            segment.pending.append(_record(CLOSE, self._key, max(at_ms, self._at_ms), b""))
            self._writer.touch(segment)
        segment.open_count -= 1
        if self._own is not None:
            self._writer.rest(self._own)
        self._writer.rest(segment)


class _Segment:
    """A minute's shared file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = _open_locked(path)
        self._size = os.fstat(self._file).st_size
        self.open_count = 0
        self.is_left = False
        """Whether it is to be closed as soon as nothing is pending."""
        self.pending: list[bytes] = []
        self.left: dict[bytes, tuple[int, int]] = {}
        """(bytes of output, bytes taken up) of the streams that an earlier writer left here."""
        if self._size:
            try:
                self._heal()
            except OSError:
                os.close(self._file)
                raise

    def flush(self) -> int:
        """Write what is pending; how many bytes were dropped instead."""
        data = b"".join(self.pending)
        if _append(self._file, self._size, data):
            self._size += len(data)
            self.pending.clear()
        elif len(data) <= WAITING_BYTES_MAX:
            self.pending[:] = (data,)
        else:
            self.pending.clear()
            return len(data)
        return 0

    def close(self) -> None:
        os.close(self._file)

    def _heal(self) -> None:
        """Cut off what a writer that died left half written, and learn how far streams got."""
        end = 0
        for offset, kind, key, _, length, _ in records(self._file, 0):
            size, taken = self.left.get(key, (0, 0))
            if kind == DATA:
                self.left[key] = (size + length, taken + HEADER.size + length)
            elif kind == MOVED:
                self.left[key] = (size, SHARED_BYTES_MAX)
            end = offset + HEADER.size + length
        if end < self._size:
            os.ftruncate(self._file, end)
            self._size = end


class _OwnFile:
    """A large stream's own output, and beside it the index of its times."""

    def __init__(self, path: str, base: int) -> None:
        self._file = _open_locked(f"{path}.log")
        try:
            self._index = _open_locked(f"{path}.idx")
        except OSError:
            os.close(self._file)
            raise
        self._size = os.fstat(self._file).st_size
        self._index_size = os.fstat(self._index).st_size // MARK.size * MARK.size  # `_append` cuts
        if self._index_size:
            base = MARK.unpack(os.pread(self._index, MARK.size, 0))[0]
        self._base = base
        self._marked_ms = -1
        self.is_left = False
        """Whether it is to be closed as soon as nothing is pending."""
        self.pending: list[tuple[int, bytes]] = []

    def flush(self) -> int:
        """Write what is pending; how many bytes were dropped instead."""
        data = b"".join([chunk for _, chunk in self.pending])
        if self._write(data):
            self.pending.clear()
        elif len(data) > WAITING_BYTES_MAX:
            self.pending.clear()
            return len(data)
        return 0

    def close(self) -> None:
        os.close(self._file)
        os.close(self._index)

    def _write(self, data: bytes) -> bool:
        """Append times and output, or neither.

        The times come first, so that a reader who sees output also sees when it came.
        """
        marks, marked_ms = self._marks()
        if not _append(self._index, self._index_size, marks):
            return False
        if not _append(self._file, self._size, data):
            _cut(self._index, self._index_size)
            return False
        self._index_size += len(marks)
        self._size += len(data)
        self._marked_ms = marked_ms
        return True

    def _marks(self) -> tuple[bytes, int]:
        """The index entries of what is pending, and the time of the last one."""
        marks = []
        marked_ms = self._marked_ms
        end = self._base + self._size
        for at_ms, chunk in self.pending:
            if at_ms != marked_ms:
                marks.append(MARK.pack(end, at_ms))
                marked_ms = at_ms
            end += len(chunk)
        return b"".join(marks), marked_ms


def _record(kind: int, key: bytes, at_ms: int, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), kind, key, at_ms) + payload


def _append(file: int, size: int, data: bytes) -> bool:
    """Append all of `data` to a file of `size` bytes, or nothing when that can't be done now."""
    try:
        if os.fstat(file).st_size > size:  # what was left of an earlier try could not be cut off
            os.ftruncate(file, size)
        written = os.write(file, data)
        while written < len(data):
            written += os.write(file, memoryview(data)[written:])
    except OSError:
        _cut(file, size)
        return False
    return True


def _cut(file: int, size: int) -> None:
    """Take back what was half written, if the disk lets us; `_append` looks again."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, size)


def _open_locked(path: str) -> int:
    """Open for appending, and lock against retention, which may take the file away meanwhile."""
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib is heavy
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            continue
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)
