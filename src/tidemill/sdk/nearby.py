"""The server that runs on this machine, found by its data folder when nothing names another.

Its note `server.json` is locked for as long as it runs; its key lies beside it, readable by its
own user alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """Where it answers, and with which key."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str


def data_folder() -> Path:
    """Where `tidemill serve` keeps its data: `$TIDEMILL_DATA`, else by the XDG rules."""
    if chosen := os.environ.get("TIDEMILL_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tidemill"


def find() -> Nearby | None:
    """This user's running server, or None."""
    folder = data_folder()
    try:
        with (folder / "server.json").open(encoding="utf-8") as file:
            if not _is_locked(file.fileno()):
                return None
            note = json.load(file)
        key = json.loads((folder / "access-key.json").read_text("utf-8"))
        return Nearby(
            endpoint=note.get("local") or note["endpoint"],
            region=note["region"],
            access_key_id=key["access_key_id"],
            secret_access_key=key["secret_access_key"],
        )
    except (OSError, ValueError, KeyError):
        return None


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
