"""A lock on a file that tells one server from a second on the same data folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tidemill.platform.store import StoreError


class FileLock:
    """Held by one process at a time; the kernel gives it back when that process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, making its folder where it is missing; `StoreError` says who has it."""
        folder = self._path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"The data folder {folder} can't be used ({error.strerror}): give this user"
                " access to it, or choose another one."
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise StoreError(
                f"Another Tidemill server (process {holder or 'unknown'}) uses the data folder"
                f" {folder}: stop it first, or choose another folder."
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; the file stays, so that nobody locks a deleted one."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
