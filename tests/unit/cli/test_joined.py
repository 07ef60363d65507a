"""Results in a file: CSV with every field there is, or JSON Lines; never a half-written one."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
import pytest

from tidemill.cli import joined


@dataclass
class Person:
    name: str
    born: date


VALUES: list[Any] = [
    {"name": "ann", "age": 3},
    {"name": "bob", "tags": ["x", 1], "age": None},
    Person("cy", date(2001, 2, 3)),
    7,
]


def test_csv_has_every_field_that_any_result_has(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert joined.write(out, lambda: VALUES) == 4
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "age", "tags", "born", "result"]
    assert [row["name"] for row in rows] == ["ann", "bob", "cy", ""]
    assert json.loads(rows[1]["tags"]) == ["x", 1]
    assert (rows[1]["age"], rows[2]["born"], rows[3]["result"]) == ("", "2001-02-03", "7")


def test_no_results_are_an_empty_file(tmp_path: Path) -> None:
    assert joined.write(tmp_path / "out.csv", list) == 0
    assert (tmp_path / "out.csv").read_bytes() == b""


def test_json_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    joined.write(None, lambda: VALUES)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [*VALUES[:2], {"name": "cy", "born": "2001-02-03"}, 7]


def test_what_was_there_stays_until_all_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before")

    def values() -> Iterator[Any]:
        yield 1
        raise OSError("the server has gone")

    with pytest.raises(OSError, match="gone"):
        joined.write(out, values)
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("name", ["out.xls", "out", "nowhere/out.csv"])
def test_a_file_that_can_not_be_written_is_refused_before_any_work(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(click.UsageError):
        joined.check_suffix(tmp_path / name)
