"""A line on the terminal that says how far a job is; nothing where there is no terminal."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Final, Self

from tidemill.sdk.watch import Sight

_BAR_WIDTH: Final = 30
_PAINT_S: Final = 0.05


class Bar:
    """Painted over itself on standard error for as long as a `with` block lasts."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start_s = time.monotonic()
        self._painted_s = 0.0
        self._is_shown = sys.stderr.isatty()
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line:
            sys.stderr.write("\n")

    def see(self, sight: Sight) -> None:
        """Show this sight of the job."""
        now_s = time.monotonic()
        if not self._is_shown or (now_s - self._painted_s < _PAINT_S and not sight.has_ended):
            return
        self._painted_s = now_s
        self._line = line(self._label, sight, now_s - self._start_s)
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        sys.stderr.write("\r\x1b[2K" + self._line[:width])
        sys.stderr.flush()


def line(label: str, sight: Sight, passed_s: float) -> str:
    """One line: bar, counts, rate, and the reason while nothing runs yet."""
    filled = _BAR_WIDTH * sight.ended // sight.size
    parts = [label, "█" * filled + "░" * (_BAR_WIDTH - filled), f"{sight.ended}/{sight.size}"]
    if sight.failed:
        parts.append(f"{sight.failed} failed")
    if sight.size > 1 and sight.ended and passed_s > 0:
        parts.append(f"{sight.ended / passed_s:.1f}/s")
    parts.append(sight.status if sight.has_ended or not sight.why else sight.why)
    return "  ".join(parts)
