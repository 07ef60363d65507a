"""How a running server is, for `tidemill doctor`: what no AWS operation tells."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

from tidemill.platform.engine import Engine
from tidemill.server.config import ServerConfig


def health(config: ServerConfig, engines: Mapping[str, Engine]) -> dict[str, Any]:
    """Version, clock, limits, room on the disk, and whether each engine can run anything now.

    An engine that doesn't say so (`is_connected`) is taken for one that can.
    """
    from importlib.metadata import version

    return {
        "version": version("tidemill"),
        "timeMs": time.time_ns() // 1_000_000,
        "limits": config.limits,
        "freeBytes": shutil.disk_usage(config.data).free,
        "floorBytes": config.floor_mib << 20,
        "engines": {
            name: getattr(engine, "is_connected", True) for name, engine in engines.items()
        },
    }
