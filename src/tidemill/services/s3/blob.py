"""Objects' bytes on disk: one file each under a number of its own, written once, never changed.

A file is durable before the index row that names it commits, so that no row is without its blob;
a file that no row names is garbage. Numbers begin with the server's epoch and are never used
again, so that files of earlier epochs can be swept while new ones come. Nothing here runs on the
event loop: a small pool of threads does the disk's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from tidemill.platform.body import FileRange, SpooledBody
from tidemill.platform.fault import Fault

INLINE_BYTES_MAX: Final = 64 * 1024
"""Up to this size an object's bytes go into the database and share its group commit: measured, the
time of a put halves there against a file of its own, syncs included."""

CHUNK_BYTES: Final = 1024 * 1024
_THREADS: Final = 4
_EPOCH_SHIFT: Final = 40
_FOLDER_SHIFT: Final = 12
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

_T = TypeVar("_T")


class Blobs:
    """The blobs of one data folder, for as long as this server leads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-disk")
        self._numbers = itertools.count(1)
        self._epoch = 0
        self._folders: set[Path] = set()

    def open(self, epoch: int) -> None:
        """Make the folder; numbers begin anew under `epoch`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._epoch = epoch
        self._numbers = itertools.count((epoch << _EPOCH_SHIFT) + 1)

    def close(self) -> None:
        """Finish what the threads have begun."""
        self._pool.shutdown(wait=True)

    def new_number(self) -> int:
        """A number that no blob ever had."""
        return next(self._numbers)

    def path(self, number: int) -> Path:
        """Where the blob lies, if it is a file."""
        return self._folder / f"{number >> _FOLDER_SHIFT:013x}" / f"{number:016x}"

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do disk work off the loop; a full disk is a fault that clients retry."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except OSError as error:
            if error.errno in _FULL:
                raise Fault(
                    "ServiceUnavailable",
                    f"There is no room for this object: the disk that holds {self._folder} is "
                    "full. Free some space and try again.",
                ) from error
            raise

    async def store(self, number: int, body: bytes | SpooledBody) -> None:
        """Make `body` durable as blob `number`."""
        await self.run(lambda: self._store(number, body))

    async def link(self, number: int, source: int) -> None:
        """Make blob `number` the same bytes as blob `source`, which may be deleted afterwards."""
        await self.run(lambda: self._link(number, source))

    async def join(self, number: int, ranges: Sequence[FileRange]) -> None:
        """Make the bytes of `ranges`, one after the other, durable as blob `number`."""
        await self.run(lambda: self._join(number, ranges))

    async def delete(self, numbers: Iterable[int]) -> None:
        """Delete the files of these blobs, those that have one."""
        paths = [self.path(number) for number in numbers]
        await self.run(lambda: _unlink(paths))

    def earlier_folders(self) -> list[Path]:
        """The folders with blobs of earlier epochs only: where orphans of a crash may lie."""
        first = self._epoch << (_EPOCH_SHIFT - _FOLDER_SHIFT)
        return [entry for entry in self._folder.iterdir() if _number(entry, first) < first]

    def bounds(self, folder: Path) -> tuple[int, int]:
        """The lowest and highest number of a blob that `folder` may hold."""
        first = int(folder.name, 16) << _FOLDER_SHIFT
        return first, first + (1 << _FOLDER_SHIFT) - 1

    async def sweep(self, folder: Path, referred: set[int]) -> int:
        """Delete all files of an earlier epoch's folder but those `referred` to; their count."""
        return await self.run(lambda: _sweep(folder, {f"{number:016x}" for number in referred}))

    def _place(self, number: int) -> Path:
        path = self.path(number)
        if path.parent not in self._folders:
            path.parent.mkdir(exist_ok=True)
            _sync_folder(self._folder)
            self._folders.add(path.parent)
        return path

    def _store(self, number: int, body: bytes | SpooledBody) -> None:
        path = self._place(number)
        if isinstance(body, SpooledBody):
            body.take(path)
        else:
            with _created(path) as descriptor:
                _write_all(descriptor, body)
        _sync_folder(path.parent)

    def _link(self, number: int, source: int) -> None:
        origin, path = self.path(source), self._place(number)
        try:
            os.link(origin, path)
        except PermissionError:
            _copy_ranges(path, [FileRange(origin, 0, origin.stat().st_size)])
        _sync_folder(path.parent)

    def _join(self, number: int, ranges: Sequence[FileRange]) -> None:
        path = self._place(number)
        _copy_ranges(path, ranges)
        _sync_folder(path.parent)


def chunks(body: bytes | SpooledBody | FileRange) -> Iterator[bytes]:
    """The bytes of a body, a piece at a time; blocks, so for threads where it is a file."""
    match body:
        case bytes():
            yield body
        case SpooledBody(path=path, size=size):
            yield from _read(path, 0, size)
        case FileRange(path=path, offset=offset, length=length):
            yield from _read(path, offset, length)


def _read(path: Path, offset: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while length > 0:
            piece = file.read(min(length, CHUNK_BYTES))
            if not piece:
                raise OSError(errno.EIO, f"{path} is {length} bytes shorter than it should be")
            length -= len(piece)
            yield piece


@contextlib.contextmanager
def _created(path: Path) -> Iterator[int]:
    """A new file to write, durable at the end, or gone where writing failed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
        os.fsync(descriptor)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)


def _copy_ranges(path: Path, ranges: Sequence[FileRange]) -> None:
    with _created(path) as descriptor:
        for piece in ranges:
            for data in chunks(piece):
                _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sweep(folder: Path, names: set[str]) -> int:
    orphans = [path for path in folder.iterdir() if path.name not in names]
    _unlink(orphans)
    if not names:
        folder.rmdir()
    return len(orphans)


def _number(folder: Path, otherwise: int) -> int:
    try:
        return int(folder.name, 16)
    except ValueError:
        return otherwise
