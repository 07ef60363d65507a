"""Refuses new commands while the disk is nearly full, so that running work can still end.

What happens to jobs that run must be written down even then; a commit that fails for want of
room would stop the server. So a floor of free disk is kept for that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidemill.platform.fault import Fault

FLOOR_BYTES: Final = 256 * 1024 * 1024
"""The free disk that is kept for observations."""

_LOOK_EVERY_S: Final = 1.0


class DiskFloor:
    """Watches the disk of one folder: looks at most once a second, and only when asked."""

    def __init__(
        self,
        folder: Path,
        floor_bytes: int = FLOOR_BYTES,
        free_bytes: Callable[[Path], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._free_bytes = free_bytes or _free_bytes
        self._monotonic = monotonic
        self._look_at = 0.0
        self._free = floor_bytes

    @property
    def is_low(self) -> bool:
        """Whether less than the floor is free."""
        now = self._monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._free = self._free_bytes(self._folder)
        return self._free < self._floor_bytes

    def check(self, code: str) -> None:
        """Refuse a command with the modelled error `code`, one that clients send again after."""
        if self.is_low:
            raise Fault(
                code,
                f"The disk of the data folder {self._folder} has {self._free >> 20} MiB free, less"
                f" than the {self._floor_bytes >> 20} MiB that running work needs: make room, then"
                " send the call again.",
            )


def _free_bytes(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
