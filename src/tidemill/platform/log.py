"""The log store's form on disk: which file holds a stream, and what its bytes mean.

Append-only files, one writer (an engine's runner), any number of readers in other processes, and
no database. A stream's name ends in 32 hex digits, of which the first eight say the minute it
was opened in, so it is found by its name alone:

- small streams share their minute's segment, `<group>/<day>/<8 hex>.seg`: a row of records, each
  a header and a payload;
- a stream that outgrows `SHARED_BYTES_MAX` goes on in a file of its own, `<32 hex>.log`, which
  is its plain output, beside `<32 hex>.idx`, which says what was written when. A gigabyte
  of output bloats nobody else's file then, and can be read with any pager.

The writer is in `log_writer`, which stays light enough for the runner; the reader in `log_reader`.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

SEGMENT_MS: Final = 60_000
SHARED_BYTES_MAX: Final = 64 * 1024
"""What a stream may take up in its shared segment, headers included."""

HEADER: Final = struct.Struct("<IB3x12sQ")
"""A record's head: length of the payload, kind, the stream's key, wall time in ms."""
OPEN: Final = 1
"""Payload: the stream's whole name. Written for every stream, so that silent ones are listed."""
DATA: Final = 2
MOVED: Final = 3
"""From here on the stream's output is in a file of its own."""
CLOSE: Final = 4
"""Written only where output ends amid a line: that line is complete now."""

MARK: Final = struct.Struct("<QQ")
"""An entry of an index: from this byte of the stream on, output was written at this time (ms).

The first entry's byte is where the file's first byte stands in the stream.
"""

_WINDOW_BYTES: Final = 1024 * 1024
_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_HEX: Final = frozenset("0123456789abcdef")
_NAME_BYTES_MAX: Final = 240


class Place(NamedTuple):
    """Where a stream is kept: its shared segment, its key in there, its own file less suffix."""

    segment: str
    key: bytes
    own: str


def stream_token(at_ms: int, rest: str) -> str:
    """The 32 hex digits of a stream opened at `at_ms`; `rest` are 24 unique hex digits."""
    return f"{at_ms // SEGMENT_MS:08x}{rest}"


def locate(folder: str, group: str, stream: str) -> Place:
    """Where `stream` is kept, whether it exists or not.

    Raises `ValueError` when the name does not end in 32 hex digits: no such stream can exist.
    """
    digits = stream[-32:]
    try:
        key = bytes.fromhex(digits[8:])
        if len(key) != 12 or key.hex() != digits[8:]:
            raise ValueError
        segment, head = _segment(folder, group, digits[:8])
    except ValueError:
        raise ValueError(f"the log stream name {stream!r} does not end in 32 hex digits") from None
    return Place(segment, key, head + digits[8:])


@lru_cache(maxsize=64)
def _segment(folder: str, group: str, digits: str) -> tuple[str, str]:
    """A segment's file, and how the own files of its streams begin."""
    if len(digits) != 8 or not _HEX.issuperset(digits):
        raise ValueError
    day = time.strftime("%Y-%m-%d", time.gmtime(int(digits, 16) * SEGMENT_MS // 1000))
    head = f"{group_folder(folder, group)}/{day}/{digits}"
    return f"{head}.seg", head


def group_folder(folder: str, group: str) -> str:
    """A group's folder; a name too long for the file system is cut into nested folders."""
    text = quote(group)
    while len(text) > _NAME_BYTES_MAX:
        folder = f"{folder}/{text[:_NAME_BYTES_MAX]}~"
        text = text[_NAME_BYTES_MAX:]
    return f"{folder}/{text}"


def records(file: int, offset: int) -> Iterator[tuple[int, int, bytes, int, int, bytes]]:
    """The whole records from `offset` on: (offset, kind, key, wall ms, length, payload).

    The payload is given for `OPEN` alone. Ends where nothing or something half written follows.
    """
    while True:
        window = os.pread(file, _WINDOW_BYTES, offset)
        at = 0
        while at + HEADER.size <= len(window):
            length, kind, key, wall_ms = HEADER.unpack_from(window, at)
            end = at + HEADER.size + length
            if not OPEN <= kind <= CLOSE or length > SHARED_BYTES_MAX:
                return
            if end > len(window):
                break
            payload = window[at + HEADER.size : end] if kind == OPEN else b""
            yield offset + at, kind, key, wall_ms, length, payload
            at = end
        if at == 0:
            return
        offset += at


def quote(group: str) -> str:
    """A group's name as a file name: `/` becomes `+`, what is not plain is percent-encoded."""
    quoted = "".join(
        chr(byte) if byte in _PLAIN else "+" if byte == 0x2F else f"%{byte:02X}"
        for byte in group.encode()
    )
    return quoted if quoted[:1] != "." else "%2E" + quoted[1:]


def unquote(text: str) -> str:
    """The group whose file name is `text`."""
    head, *tail = text.replace("+", "/").split("%")
    raw = head.encode()
    for part in tail:
        raw += bytes.fromhex(part[:2]) + part[2:].encode()
    return raw.decode()
