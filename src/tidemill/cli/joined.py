"""Results joined into one file, in the order of the rows: CSV or JSON Lines, by its suffix.

A file is written beside its place and moved there whole, so that what was there before stays
until it is replaced.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from tidemill.cli.row import LINES, SEPARATORS

VALUE: Final = "result"
"""The column of results that are no records."""


def check_suffix(path: Path | None) -> None:
    """Refuse, before any work is done, a file whose name does not say how it is to be written."""
    if path is None:
        return
    if path.suffix.lower() not in (*SEPARATORS, *LINES):
        raise click.UsageError(
            f"-o {path} should end in {', '.join((*SEPARATORS, *LINES))}, which says how to "
            f"write it."
        )
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"-o {path}: there is no folder {path.absolute().parent}.")


def write(path: Path | None, values: Callable[[], Iterable[Any]]) -> int:
    """Write all values, and say how many they are; without a path as JSON Lines to stdout.

    `values` is called twice for CSV, whose heading is made of every result's fields.
    """
    separator = SEPARATORS.get(path.suffix.lower()) if path is not None else None
    with _place(path) as file:
        if separator is None:
            return _lines(file, values())
        return _csv(file, values, separator)


def plain(value: Any) -> Any:
    """What `json` can't write by itself: dataclasses as objects, paths and times as texts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _lines(file: IO[str], values: Iterable[Any]) -> int:
    count = 0
    for value in values:
        file.write(json.dumps(value, ensure_ascii=False, default=plain) + "\n")
        count += 1
    return count


def _csv(file: IO[str], values: Callable[[], Iterable[Any]], separator: str) -> int:
    heading: dict[str, None] = {}
    for value in values():
        heading.update(dict.fromkeys(_record(value)))
    if not heading:
        return 0
    writer = csv.DictWriter(file, list(heading), delimiter=separator, restval="")
    writer.writeheader()
    count = 0
    for value in values():
        writer.writerow({name: _cell(field) for name, field in _record(value).items()})
        count += 1
    return count


def _record(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = plain(value)
    if isinstance(value, dict):
        return {str(name): field for name, field in value.items()}
    return {VALUE: value}


def _cell(value: Any) -> Any:
    """Numbers and texts as they are, nothing as nothing, all else as JSON."""
    if value is None or isinstance(value, str | int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=plain)
    return json.loads(text) if text.startswith('"') else text


@contextmanager
def _place(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staged.open("w", encoding="utf-8", newline="") as file:
            yield file
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
