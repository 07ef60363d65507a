"""How answers are shown: tables for people, JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

JSON_OPTION: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs."
)

STATUS_COLOURS = {
    "RUNNABLE": "yellow",
    "STARTING": "cyan",
    "RUNNING": "blue",
    "SUCCEEDED": "green",
    "FAILED": "red",
}
GAP = "  "
LAST_COLUMN_MIN = 20
WIDE = 100
"""From so many columns on, ids are shown whole."""
ID_LETTERS = 8


def print_json(value: Any) -> None:
    """One JSON document on standard output; AWS's names, times as numbers or ISO texts."""
    json.dump(value, sys.stdout, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be shown as JSON")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """A line a row: as wide as the terminal, or whole and tab-separated where there is none."""
    if not rows:
        click.echo(empty, err=True)
    elif not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
    else:
        for line in table(columns, rows, shutil.get_terminal_size().columns):
            click.echo(line)


def terminal_width() -> int:
    """How wide what is printed may be; beyond all where it does not go to a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000_000


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table; the last column is cut where the terminal ends."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    left = width - sum(widths[:-1]) - len(GAP) * len(widths[:-1])
    widths[-1] = min(widths[-1], max(left, LAST_COLUMN_MIN))
    heading = GAP.join(_padded(columns, widths)).rstrip()
    lines = (GAP.join(map(coloured, _padded(row, widths))).rstrip() for row in rows)
    return [click.style(heading, bold=True), *lines]


def ids_shown(ids: Sequence[str], width: int) -> list[str]:
    """Ids as they are shown on a screen of that width: where it is narrow their first letters,
    which every command takes for the whole, and as many as tell them apart."""
    if width >= WIDE:
        return list(ids)
    letters = ID_LETTERS
    while letters < 36 and len({each[:letters] for each in ids}) < len(set(ids)):
        letters += 1
    return [each[:letters] for each in ids]


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    *before, last = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return [*before, last if len(last) <= widths[-1] else last[: widths[-1] - 1] + "…"]


def coloured(status: str) -> str:
    """A status in its colour; click leaves the colour away where there is no terminal."""
    colour = STATUS_COLOURS.get(status.rstrip())
    return click.style(status, fg=colour) if colour else status


def age(since_ms: int | None, until_ms: int | None = None) -> str:
    """A duration as people say it: `840ms`, `12s`, `3m 20s`, `2h 5m`, `4d 3h`."""
    if since_ms is None:
        return "-"
    end_ms = until_ms if until_ms is not None else datetime.now(UTC).timestamp() * 1000
    left = max(0, int(end_ms - since_ms))
    if left < 1000:
        return f"{left}ms"
    seconds = left // 1000
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60}s"
    if seconds < 86_400:
        return f"{seconds // 3600}h {seconds % 3600 // 60}m"
    return f"{seconds // 86_400}d {seconds % 86_400 // 3600}h"


def moment(at_ms: int | None) -> str:
    """A point in time, in the machine's own time zone."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
