"""What the server's engine and the runner say to each other over the Unix socket.

A frame is a length (u32, little endian) and a MessagePack array of messages, so that whatever
gathered goes out in one write. Structs are arrays on the wire: a later version may add fields at
their ends, with defaults, and both sides still understand each other.

The engine speaks first, `Hello`; the runner answers `Welcome` with the version it chose, or
`Refused`. `VERSIONS` are those that this side speaks: the present one and the one before it, as a
runner outlives the upgrade of its server.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

VERSIONS: Final = (1,)
SOCKET: Final = "runner.sock"
READY: Final = b"ready"
"""What the runner writes to its standard output once it listens; it closes that then."""
FRAME_BYTES_MAX: Final = 256 * 1024 * 1024

_LENGTH: Final = struct.Struct("<I")


class Order(msgspec.Struct, array_like=True, gc=False):
    """An attempt to start; the fields are those of `platform.engine.Attempt`."""

    attempt_id: str
    pool: str
    command: list[str]
    environment: dict[str, str]
    cpu_milli: int
    memory_mib: int
    log_group: str
    log_stream: str
    working_directory: str | None = None
    ulimits: list[tuple[str, int, int]] = []


class Hello(msgspec.Struct, array_like=True, tag="hello"):
    """The first message: who speaks, as leader of which epoch."""

    versions: list[int]
    epoch: int


class Resize(msgspec.Struct, array_like=True, tag="resize"):
    """All pools: (name, cpu_milli, memory_mib)."""

    pools: list[tuple[str, int, int]]


class Start(msgspec.Struct, array_like=True, tag="start"):
    """Start these, in this order, as room comes free."""

    orders: list[Order]


class Stop(msgspec.Struct, array_like=True, tag="stop"):
    """Stop these: (attempt id, grace in seconds)."""

    stops: list[tuple[str, float]]


class Recover(msgspec.Struct, array_like=True, tag="recover"):
    """Say what became of these."""

    attempt_ids: list[str]


class Settle(msgspec.Struct, array_like=True, tag="settle"):
    """Forget these, which have ended."""

    attempt_ids: list[str]


class End(msgspec.Struct, array_like=True, tag="end"):
    """Stop every attempt, report the ends, and exit."""

    grace_s: float


Command = Hello | Resize | Start | Stop | Recover | Settle | End


class Welcome(msgspec.Struct, array_like=True, tag="welcome"):
    """The runner takes orders, in this version."""

    version: int
    pid: int


class Refused(msgspec.Struct, array_like=True, tag="refused"):
    """The runner does not; it closes the connection after this."""

    reason: str
    stale_epoch: bool = False


class Started(msgspec.Struct, array_like=True, tag="started", gc=False):
    """See `platform.engine.Started`."""

    attempt_id: str
    at_ms: int


class Exited(msgspec.Struct, array_like=True, tag="exited", gc=False):
    """See `platform.engine.Exited`."""

    attempt_id: str
    at_ms: int
    exit_code: int | None = None
    started_at_ms: int | None = None
    reason: str = ""
    cpu_s: float = 0.0
    memory_peak_bytes: int = 0


class Lost(msgspec.Struct, array_like=True, tag="lost", gc=False):
    """See `platform.engine.Lost`."""

    attempt_id: str
    at_ms: int
    reason: str = ""


Ended = Exited | Lost
Report = Started | Exited | Lost
Answer = Welcome | Refused | Started | Exited | Lost

_encoder: Final = msgspec.msgpack.Encoder()


class FrameError(Exception):
    """What came over the connection is not the protocol."""


def frame(messages: Sequence[Any]) -> bytes:
    """The messages as one frame."""
    body = _encoder.encode(messages)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts the bytes of a connection, or of a journal, into frames; `buffer` is what is left."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies of the frames that `data` completes."""
        buffer = self.buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, at)
                if length > FRAME_BYTES_MAX:
                    raise FrameError(f"a frame of {length} bytes is more than a message can be")
                end = at + _LENGTH.size + length
                if end > len(buffer):
                    break
                body = bytes(buffer[at + _LENGTH.size : end])
                at = end
                yield body
        finally:
            del buffer[:at]


@contextlib.contextmanager
def address(folder: os.PathLike[str]) -> Iterator[str]:
    """The socket's address for bind and connect, short however deep `folder` lies.

    The system takes 107 bytes at most, so the folder is given as an open file.
    """
    file = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{file}/{SOCKET}"
    finally:
        os.close(file)
