"""How answers are shown: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

JSON_OPTION: Callable[..., Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table."
)

STATUS_STYLES = {
    "RUNNABLE": "yellow",
    "STARTING": "cyan",
    "RUNNING": "blue",
    "SUCCEEDED": "green",
    "FAILED": "red",
}


def print_json(value: Any) -> None:
    """One JSON document on standard output; AWS's names, times as numbers or ISO texts."""
    json.dump(value, sys.stdout, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't be shown as JSON")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """A table that fits the terminal, or one tab-separated line a row where there is none."""
    if not rows:
        click.echo(empty, err=True)
        return
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column != "WHY", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row))
    Console().print(table)


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
