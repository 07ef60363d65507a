"""The engines that are installed: ours and third parties', by the entry point `tidemill.engines`.

An entry point names a callable that is given the folder for the engine's own things and the log
folder, and makes an `Engine`. The name is what a compute environment's tag `tidemill:engine` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from tidemill.platform.engine import Engine
from tidemill.server.backup import LOGS
from tidemill.server.config import StartError
from tidemill.server.machine import offer_of_this_machine
from tidemill.services.batch.environment import Offer

GROUP = "tidemill.engines"


def load_all(data: Path) -> dict[str, Engine]:
    """Every engine that is installed, made but not opened."""
    engines: dict[str, Engine] = {}
    for entry in entry_points(group=GROUP):
        try:
            engines[entry.name] = entry.load()(data / "engines" / entry.name, data / LOGS)
        except ImportError as error:
            raise StartError(
                f"The engine {entry.name!r} ({entry.value}) can't be loaded: {error}; install "
                f"what it needs or uninstall it."
            ) from error
    return engines


def offers_of(engines: Mapping[str, Engine]) -> dict[str, Offer]:
    """What each engine has to give; all that run on this machine share its size."""
    return {
        name: offer_of_this_machine(look_ahead=engine.look_ahead)
        for name, engine in engines.items()
    }
