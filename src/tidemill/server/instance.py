"""How a running server is found: `server.json` in its data folder, there while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

FILE = "server.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A server that runs, or one that died without taking its note away (`is_alive` tells)."""

    pid: int
    endpoint: str
    region: str
    account: str

    def is_alive(self) -> bool:
        """Whether the process is there; one that has ended and waits for its parent is not."""
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def write(folder: Path, instance: Instance) -> None:
    """Leave the note, whole or not at all."""
    staged = folder / (FILE + ".new")
    staged.write_text(json.dumps(asdict(instance), indent=2) + "\n", "utf-8")
    staged.rename(folder / FILE)


def read(folder: Path) -> Instance | None:
    """The note of a server that runs on this data folder now, or None."""
    try:
        instance = Instance(**json.loads((folder / FILE).read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return instance if instance.is_alive() else None


def remove(folder: Path) -> None:
    """Take the note away."""
    (folder / FILE).unlink(missing_ok=True)
