"""Payloads too large for memory, on their way in and out: always a file, never a copy.

The server receives a large request body into a spool file on the data folder's own file system,
so that a service may take it over by a rename, and sends a large answer straight from a file.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

SPOOL_ABOVE_BYTES = 1024 * 1024
"""A request body up to this size is `bytes`; a larger one is a `SpooledBody`."""


@dataclass(slots=True)
class SpooledBody:
    """A request's payload in a file of its own; not yet fsynced."""

    path: Path
    size: int

    def take(self, destination: Path) -> None:
        """Make it durable and move it to `destination`, on the same file system."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.rename(destination)

    def discard(self) -> None:
        """Delete it, unless it was taken."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


@dataclass(frozen=True, slots=True)
class FileRange:
    """Bytes `offset` to `offset + length` of a file, as an answer's payload.

    The file must stay what it is while it is sent: services replace files by new ones, and an
    unlinked file lives on for whoever has it open.
    """

    path: Path
    offset: int
    length: int
