"""How a running server is found: `server.json` in its data folder, locked while it runs.

The kernel gives the lock back when the process ends, however it ends: a note without a lock is
one that a killed server left. A process number alone would not tell, as numbers are used again
and mean nothing outside their container.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

FILE = "server.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A server that runs, as it says of itself. `database` is empty for SQLite.

    `endpoint` is what clients are given. `local` is on loopback, and empty for older servers.
    """

    pid: int
    endpoint: str
    region: str
    account: str
    database: str = ""
    local: str = ""

    @property
    def nearest(self) -> str:
        """The URL for programs on the server's own machine, whatever clients are given."""
        return self.local or self.endpoint


class Note:
    """The running server's own `server.json`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._fd: int | None = None

    def leave(self, instance: Instance) -> None:
        """Write the note, whole or not at all, and hold its lock until `take_away`."""
        staged = self._path.with_name(FILE + ".new")
        staged.write_text(json.dumps(asdict(instance), indent=2) + "\n", "utf-8")
        self._fd = os.open(staged, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        staged.rename(self._path)

    def take_away(self) -> None:
        """Remove the note, unless a server that took over has put its own in its place."""
        if self._fd is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._fd), self._path.stat()):
                self._path.unlink()
        os.close(self._fd)
        self._fd = None


def read(folder: Path) -> Instance | None:
    """The server that runs on this data folder now, or None; `OSError` when it can't be read."""
    try:
        fd = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(fd, encoding="utf-8") as file:
        return _parsed(file.read()) if _is_locked(fd) else None


def _parsed(text: str) -> Instance | None:
    """The note of this version of Tidemill or of another, which may say more or less."""
    try:
        said: dict[str, Any] = json.loads(text)
        return Instance(**{f.name: said[f.name] for f in fields(Instance) if f.name in said})
    except (ValueError, TypeError):
        return None


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
