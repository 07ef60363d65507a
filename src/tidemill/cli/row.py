"""The rows of a CSV or JSON Lines file, one after the other, as a function takes them.

A row is a dict; where the function's first parameter is hinted as a dataclass, one of those, its
fields made of the texts of a CSV as their hints say. Rows are numbered from 1, as a person counts
them, without the heading. Nothing is held but the row at hand.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

from tidemill.sdk.function import Job
from tidemill.sdk.shape import hints_of

SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
LINES: Final = (".jsonl", ".ndjson")
STREAM: Final = "-"
_YES: Final = {"true", "yes", "y", "1"}
_NO: Final = {"false", "no", "n", "0"}


class BadRow(click.ClickException):
    """A row can't be read; says which, where and why."""


def rows(path: str, job: Job[..., Any]) -> Iterator[Any]:
    """The rows of a file, by its suffix; `-` reads JSON Lines from standard input."""
    build = builder(job)
    with _opened(path) as file:
        for number, (line, row) in enumerate(_raw(path, file), 1):
            try:
                yield build(row)
            except (ValueError, TypeError) as error:
                raise BadRow(f"Row {number} of {path} (line {line}): {error}.") from error


def count(path: str) -> int:
    """How many rows there are."""
    with _opened(path) as file:
        return sum(1 for _ in _raw(path, file))


def check_suffix(path: str) -> None:
    """Refuse a file whose name does not say how it is to be read."""
    if path != STREAM and Path(path).suffix.lower() not in (*SEPARATORS, *LINES):
        raise click.UsageError(
            f"{path} should end in {', '.join((*SEPARATORS, *LINES))}, which says how to read it."
        )


def _opened(path: str) -> IO[str]:
    if path == STREAM:
        return sys.stdin
    return Path(path).open(encoding="utf-8-sig", newline="")


def _raw(path: str, file: IO[str]) -> Iterator[tuple[int, Any]]:
    """Each row with the number of the line that it ends on."""
    separator = SEPARATORS.get(Path(path).suffix.lower()) if path != STREAM else None
    try:
        yield from _of_lines(path, file) if separator is None else _of_csv(path, file, separator)
    except UnicodeDecodeError as error:
        raise BadRow(f"{path} is not UTF-8 ({error}); convert it first.") from error


def _of_csv(path: str, file: IO[str], separator: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(file, delimiter=separator)
    heading = next(reader, None)
    if heading is None:
        return
    if len(set(heading)) < len(heading):
        twice = next(name for name in heading if heading.count(name) > 1)
        raise BadRow(f"{path} has two columns {twice!r}; rename one of them.")
    try:
        for row in reader:
            if not row:
                continue  # an empty line
            if len(row) != len(heading):
                raise BadRow(
                    f"Line {reader.line_num} of {path} has {len(row)} fields where the heading has "
                    f"{len(heading)}; mend it, or quote what holds a separator."
                )
            yield reader.line_num, dict(zip(heading, row, strict=True))
    except csv.Error as error:
        raise BadRow(f"Line {reader.line_num} of {path}: {error}.") from error


def _of_lines(path: str, file: IO[str]) -> Iterator[tuple[int, Any]]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            yield line, json.loads(text)
        except ValueError as error:
            raise BadRow(f"Line {line} of {path} is no JSON: {error}.") from error


def builder(job: Job[..., Any]) -> Callable[[Any], Any]:
    """What makes of a raw row what the function takes."""
    hint = hints_of(job.function).get(job.parameters.name(0), Any)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return lambda row: record(hint, row)
    return lambda row: row


def record(kind: type, row: Any) -> Any:
    """A dataclass of a row; columns that it has no field for are left out.

    Raises `ValueError` for a field that is missing or can't be made of what the row has.
    """
    if not isinstance(row, dict):
        raise ValueError(f"{kind.__name__} takes an object, not {type(row).__name__}")
    hints, given = hints_of(kind), dict[str, Any]()
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        if field.name in row:
            given[field.name] = _made(row[field.name], hints.get(field.name), field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"there is no column {field.name!r}, which {kind.__name__} needs")
    return kind(**given)


def _made(value: Any, hint: Any, name: str) -> Any:
    """A value for a field; only texts are made into something else."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return record(hint, value)
    if not isinstance(value, str):
        return value
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    if type(None) in options and not value:
        return None
    kind = next((each for each in options if each is not type(None)), str)
    try:
        return _of_text(value, kind)
    except ValueError:
        told = getattr(kind, "__name__", str(kind))
        raise ValueError(f"{name!r} takes {told}, not {value!r}") from None


def _of_text(value: str, kind: Any) -> Any:
    if kind is bool:
        if value.strip().lower() not in _YES | _NO:
            raise ValueError
        return value.strip().lower() in _YES
    if kind in (int, float):
        return kind(value)
    if isinstance(kind, type) and hasattr(kind, "fromisoformat"):  # date, time, datetime
        return kind.fromisoformat(value)
    return value


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
