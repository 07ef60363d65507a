"""`tidemill backup`: a copy from which a server can start, made while this one runs on.

Objects are copied before and after the database's snapshot: a blob never changes once its index
row says that it is there, so every row of the snapshot finds its blob in one of the two passes.
A blob is taken off the disk only some time after its row (`services/s3`), longer than a pass over
what is new takes. Logs are append-only; a torn last line of one is what a crash leaves too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tidemill.platform.store import Store, StoreError
from tidemill.server.own_path import OperationRefused

DATABASE = "tidemill.db"
ACCESS_KEY = "access-key.json"
OBJECTS = "objects"
LOGS = "logs"


@dataclass(slots=True)
class Copied:
    """What a backup holds so far."""

    files: int = 0
    size: int = 0


async def back_up(store: Store, data: Path, destination: Path) -> Copied:
    """Copy the data folder to `destination`, a folder that does not exist or is empty.

    Raises `OperationRefused` when it can't be written, or the database is not one that can be
    copied from here (PostgreSQL has tools of its own).
    """
    copied = Copied()
    try:
        await asyncio.to_thread(_prepare, data, destination)
    except OSError as error:
        raise OperationRefused(_failed(destination, error)) from error
    try:
        await asyncio.to_thread(_copy_tree, data / OBJECTS, destination / OBJECTS, copied)
        await store.backup(str(destination / DATABASE))
        await asyncio.to_thread(_copy_rest, data, destination, copied)
    except (OSError, StoreError) as error:
        await asyncio.to_thread(shutil.rmtree, destination, ignore_errors=True)
        raise OperationRefused(_failed(destination, error)) from error
    return copied


def _failed(destination: Path, error: OSError | StoreError) -> str:
    if isinstance(error, StoreError):
        return str(error)
    where = f" at {error.filename}" if error.filename else ""
    return f"The backup to {destination} failed: {error.strerror or error}{where}."


def _prepare(data: Path, destination: Path) -> None:
    if destination.resolve().is_relative_to(data.resolve()):
        raise OperationRefused(f"{destination} is in the data folder; name one outside of it.")
    destination.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(destination.iterdir()):
        raise OperationRefused(f"{destination} is not empty; name a new folder for the backup.")


def _copy_rest(data: Path, destination: Path, copied: Copied) -> None:
    _copy_tree(data / OBJECTS, destination / OBJECTS, copied)
    _copy_tree(data / LOGS, destination / LOGS, copied)
    _copy_file(data / ACCESS_KEY, destination / ACCESS_KEY, copied)
    copied.files += 1
    copied.size += (destination / DATABASE).stat().st_size


def _copy_tree(source: Path, destination: Path, copied: Copied) -> None:
    for folder, _, names in os.walk(source):
        target = destination / Path(folder).relative_to(source)
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in names:
            if not (target / name).exists():
                _copy_file(Path(folder) / name, target / name, copied)


def _copy_file(source: Path, target: Path, copied: Copied) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        return  # it went between listing and copying: its row is gone too
    copied.files += 1
    copied.size += target.stat().st_size
