"""How far a run is: for programs as a `Progress`, for people as a line on the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tidemill.sdk.client import Connection
from tidemill.sdk.watch import Sight

_BAR_WIDTH: Final = 30
_PAINT_S: Final = 0.05
_REPORTS_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run or a map was when it was asked."""

    status: str
    """AWS's word for its state."""
    why: str
    """What it waits for, or why it ended as it did; may be empty."""
    done: float
    """Of a map the items that have ended, and parts of those whose jobs say how far they are; of
    a run what its job said last by `tm.progress`, else 1 once it has ended."""
    total: float | None
    """What `done` counts up to; None where a job did not say."""
    failed: int = 0
    """Of a map the items of chunks that have failed, of a run 1 if it has."""
    note: str = ""
    """What the job that spoke last said that it is doing."""

    @property
    def share(self) -> float | None:
        """From 0.0 to 1.0, or None where nobody said how much there is to do."""
        return min(1.0, self.done / self.total) if self.total else None


def of_one(connection: Connection, run_url: str, index: int, sight: Sight) -> Progress:
    """How far one job is, by its own word if it gave any."""
    from tidemill.sdk import report

    said = None
    if sight.status not in ("SUBMITTED", "PENDING", "RUNNABLE"):
        said = report.read(connection, run_url, index).get(index)
    ended = int(sight.has_ended)
    return Progress(
        status=sight.status,
        why=sight.why,
        done=ended if said is None else said.done,
        total=1 if said is None else said.total,
        failed=int(sight.status == "FAILED"),
        note="" if said is None else said.note,
    )


def of_map(connection: Connection, run_url: str, items: int, chunk: int, sight: Sight) -> Progress:
    """How far a map is: what has ended, and what those that run say of themselves."""
    from tidemill.sdk import report

    ended = min(items, sight.ended * chunk)
    done, note = float(ended), ""
    if sight.size > 0 and not sight.has_ended:
        said = report.read(connection, run_url)
        part = sum(
            min(1.0, each.done / each.total)
            for each in said.values()
            if each.total and each.done < each.total
        )
        done = float(min(items, ended + part * chunk))
        note = max(said.values(), key=lambda each: each.at_ms).note if said else ""
    return Progress(
        status=sight.status,
        why=sight.why,
        done=int(done) if done.is_integer() else round(done, 3),
        total=items,
        failed=min(items, sight.failed * chunk),
        note=note,
    )


class Bar:
    """Tells of each change for as long as a `with` block lasts, and paints it on standard error.

    Nothing is painted where standard error is no terminal.
    """

    def __init__(
        self,
        label: str,
        of: Callable[[Sight], Progress],
        *,
        is_shown: bool = True,
        tell: Callable[[Progress], object] | None = None,
    ) -> None:
        """`of` makes a sight a `Progress`; `tell` is called with each that is new."""
        self._label = label
        self._of = of
        self._tell = tell
        self._start_s = time.monotonic()
        self._seen_s = -_REPORTS_EVERY_S
        self.is_shown = is_shown and sys.stderr.isatty()
        """Whether anything is painted."""
        self._line = ""
        self._sight: Sight | None = None
        self._progress: Progress | None = None

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
        """Tell and show this sight of the job, if there is anything new in it."""
        if not self.is_shown and self._tell is None:
            return
        now_s = time.monotonic()
        is_same = self._sight is not None and _counts(self._sight) == _counts(sight)
        if is_same and now_s - self._seen_s < _REPORTS_EVERY_S:
            return
        self._seen_s, self._sight = now_s, sight
        progress = self._of(sight)
        if progress == self._progress:
            return
        self._progress = progress
        if self._tell is not None:
            self._tell(progress)
        if self.is_shown:
            self._paint(line(self._label, progress, now_s - self._start_s))

    def _paint(self, text: str) -> None:
        width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
        self._line = text
        sys.stderr.write("\r\x1b[2K" + text[:width])
        sys.stderr.flush()


def _counts(sight: Sight) -> tuple[str, str, int, int]:
    return sight.status, sight.why, sight.ended, sight.failed


def line(label: str, progress: Progress, passed_s: float) -> str:
    """One line: bar, counts, rate, and the reason while nothing runs yet."""
    total = progress.total or 0
    filled = int(_BAR_WIDTH * (progress.share or 0))
    counts = f"{progress.done:g}/{total:g}" if total else f"{progress.done:g}"
    parts = [label, "█" * filled + "░" * (_BAR_WIDTH - filled), counts]
    if progress.failed and total > 1:
        parts.append(f"{progress.failed} failed")
    if total > 1 and progress.done and passed_s > 0:
        parts.append(f"{progress.done / passed_s:.1f}/s")
    has_ended = progress.status in ("SUCCEEDED", "FAILED")
    is_begun = has_ended or progress.done > 0  # an array waits for its children to the end
    state = progress.status if is_begun or not progress.why else progress.why
    return "  ".join([*parts, state, *([progress.note] if progress.note else [])])
