"""What the runner must remember when it dies: which attempts it meant to start, how they ended.

An append-only file of frames. An intent is written before the process is spawned and the end
before it is reported, so that an attempt with a recorded end never runs again, and one with an
intent but no end is known to have been under way. A write is not synced: it outlives the runner,
and when the machine goes, so does all that ran on it, which the boot id in the head tells. What a
crash of the machine garbled of the file's end counts as unwritten then.

The file is rewritten with what still counts when a runner starts, and whenever it has grown to
several times that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tidemill.engines.process import proc
from tidemill.engines.process.protocol import Ended, FrameError, Frames, frame

FILE: Final = "journal"
KEEP_MS: Final = 7 * 86_400_000
"""How long an end is kept that no server ever settles."""
COMPACT_BYTES_MIN: Final = 4 * 1024 * 1024
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC


class Head(msgspec.Struct, array_like=True, tag="head"):
    """The first entry. `mark` is in the environment of all that this folder's runners start."""

    boot_id: str
    mark: str
    epoch: int


class Intent(msgspec.Struct, array_like=True, tag="intent", gc=False):
    """The attempt is about to be started."""

    attempt_id: str
    at_ms: int


class Spawned(msgspec.Struct, array_like=True, tag="spawned", gc=False):
    """The attempt runs as this process, which was started at `boot_ticks` (see `proc.Stat`)."""

    attempt_id: str
    pid: int
    boot_ticks: int


class Stray(msgspec.Struct, array_like=True, tag="stray", gc=False):
    """A process of some attempt, nobody knows which: it has left its session and environment."""

    pid: int
    boot_ticks: int


class Settled(msgspec.Struct, array_like=True, tag="settled"):
    """These ends need not be remembered."""

    attempt_ids: list[str]


Entry = Head | Intent | Spawned | Stray | Ended | Settled
_decoder: Final = msgspec.msgpack.Decoder(list[Entry])


class Past:
    """What a journal says about earlier runners' attempts."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.open: dict[str, Intent] = {}
        self.spawned: dict[str, Spawned] = {}
        self.ended: dict[str, Ended] = {}
        self.strays: list[Stray] = []

    def take(self, entry: Entry) -> None:
        """Follow one entry."""
        match entry:
            case Head():
                self.head = entry
            case Intent(attempt_id=attempt_id):
                self.open[attempt_id] = entry
            case Spawned(attempt_id=attempt_id):
                self.spawned[attempt_id] = entry
            case Stray():
                self.strays.append(entry)
            case Settled():
                for attempt_id in entry.attempt_ids:
                    self.ended.pop(attempt_id, None)
            case _:
                self.open.pop(entry.attempt_id, None)
                self.spawned.pop(entry.attempt_id, None)
                self.ended[entry.attempt_id] = entry


def read(folder: Path) -> Past:
    """What the journal in `folder` says; a half-written end of it counts as unwritten.

    Raises `msgspec.MsgspecError` or `FrameError` when it is not understood.
    """
    past = Past()
    try:
        with (folder / FILE).open("rb") as file:
            _read(file, past)
    except FileNotFoundError:
        pass
    except (msgspec.MsgspecError, FrameError):
        if past.head is None or past.head.boot_id == proc.boot_id():
            raise
    return past


def _read(file: BinaryIO, past: Past) -> None:
    frames = Frames()
    while data := file.read(1024 * 1024):
        for body in frames.feed(data):
            if not body:  # zeros, where a crash of the machine took what had been written
                return
            for entry in _decoder.decode(body):
                past.take(entry)


class Journal:
    """The file of the runner at work; made anew from what still counts at its start."""

    def __init__(self, folder: Path, live: Sequence[Entry]) -> None:
        """Begin with `live`, whose first is the `Head`."""
        self._path = folder / FILE
        self._file = -1
        self._size = 0
        self._compact_at = 0
        self.rewrite(live)

    @property
    def is_bloated(self) -> bool:
        """Whether it is time for `rewrite`."""
        return self._size > self._compact_at

    def write(self, entries: Sequence[Entry]) -> None:
        """Record `entries`, all in one write. Raises `OSError`: then nothing of them counts."""
        data = frame(entries)
        written = os.write(self._file, data)
        if written < len(data):
            os.ftruncate(self._file, self._size)
            raise OSError("the runner's journal can't be written: the disk is full")
        self._size += written

    def rewrite(self, live: Sequence[Entry]) -> None:
        """Replace the file by one that says only what still counts.

        Raises `OSError`: then the present file goes on, and is not bloated before it has doubled.
        """
        self._compact_at = max(COMPACT_BYTES_MIN, 2 * self._size)
        staged = self._path.with_name(FILE + ".new")
        data = b"".join(frame(live[i : i + 1000]) for i in range(0, len(live), 1000))
        file = os.open(staged, _FLAGS, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            staged.rename(self._path)
        except OSError:
            os.close(file)
            staged.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file = file
        self._size = len(data)
        self._compact_at = max(COMPACT_BYTES_MIN, 4 * len(data))
