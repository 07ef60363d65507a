"""The engines that are installed: ours and third parties', by the entry point `tidemill.engines`.

Ours is known without asking. Whether there are others is looked up in the folders of `sys.path`,
as `importlib.metadata` would, but without importing that, which costs the start more than all
of Batch's decisions: it is imported only where another package names an engine.

An entry point names a callable that is given the folder for the engine's own things and the log
folder, and makes an `Engine`. The name is what a compute environment's tag `tidemill:engine` says.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tidemill.engines.process.engine import ProcessEngine
from tidemill.platform.engine import Engine
from tidemill.server.backup import LOGS
from tidemill.server.config import StartError
from tidemill.server.machine import offer_of_this_machine
from tidemill.services.batch.environment import DEFAULT_ENGINE, Offer

GROUP = "tidemill.engines"


def load_all(data: Path) -> dict[str, Engine]:
    """Every engine that is installed, made but not opened."""
    found: dict[str, Callable[[Path, Path], Engine]] = {DEFAULT_ENGINE: ProcessEngine}
    if any(GROUP in text for text in _entry_points_of_others()):
        found |= _installed()
    return {name: make(data / "engines" / name, data / LOGS) for name, make in found.items()}


def _installed() -> dict[str, Callable[[Path, Path], Engine]]:
    from importlib.metadata import entry_points

    found: dict[str, Callable[[Path, Path], Engine]] = {}
    for entry in entry_points(group=GROUP):
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:
            raise StartError(
                f"The engine {entry.name!r} ({entry.value}) can't be loaded: {error}; install "
                f"what it needs or uninstall it."
            ) from error
    return found


def _entry_points_of_others() -> Iterator[str]:
    """What each installed package but this one says of itself to programs like this."""
    for folder in dict.fromkeys(sys.path):
        for file in Path(folder).glob("*-info/entry_points.txt"):
            if not file.parent.name.startswith("tidemill-"):
                with contextlib.suppress(OSError):
                    yield file.read_text("utf-8", "replace")


def offers_of(engines: Mapping[str, Engine]) -> dict[str, Offer]:
    """What each engine has to give; all that run on this machine share its size."""
    return {
        name: offer_of_this_machine(look_ahead=engine.look_ahead)
        for name, engine in engines.items()
    }
