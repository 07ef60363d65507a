"""Rows of files as a function takes them: dicts, dataclasses, and sentences about bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tidemill.cli import row
from tidemill.cli.row import BadRow
from tidemill.sdk.definition import Needs
from tidemill.sdk.function import Job


@dataclass
class Contact:
    name: str
    age: int
    vip: bool = False
    born: date | None = None


def take(row: dict[str, Any]) -> None: ...


def take_contact(contact: Contact) -> None: ...


PLAIN: Job[..., Any] = Job(take, Needs())
TYPED: Job[..., Any] = Job(take_contact, Needs())


def read(path: Path, text: str, job: Job[..., Any] = PLAIN) -> list[Any]:
    path.write_text(text, "utf-8")
    found = list(row.rows(str(path), job))
    assert row.count(str(path)) == len(found)
    return found


def test_a_csv_gives_dicts_and_empty_lines_are_none(tmp_path: Path) -> None:
    text = '\ufeffname,note\nann,"two\nlines"\n\nbob,\n'
    assert read(tmp_path / "a.csv", text) == [
        {"name": "ann", "note": "two\nlines"},
        {"name": "bob", "note": ""},
    ]
    assert read(tmp_path / "a.tsv", "a\tb\n1\t2\n") == [{"a": "1", "b": "2"}]
    assert read(tmp_path / "empty.csv", "") == []


def test_json_lines_give_what_they_are(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", '{"a": 1}\n\n[2]\n"x"') == [{"a": 1}, [2], "x"]


def test_a_dataclass_is_built_from_its_hints(tmp_path: Path) -> None:
    text = "name,age,vip,born,more\nann,41,yes,1984-05-06,x\nbob,7,0,,y\n"
    assert read(tmp_path / "a.csv", text, TYPED) == [
        Contact("ann", 41, True, date(1984, 5, 6)),
        Contact("bob", 7, False, None),
    ]
    assert read(tmp_path / "a.jsonl", '{"name": "ann", "age": 3}', TYPED) == [Contact("ann", 3)]


@pytest.mark.parametrize(
    ("name", "text", "job", "words"),
    [
        (
            "a.csv",
            "name,age\nann,1\nbob,x\n",
            TYPED,
            ["Row 2 of", "line 3", "'age' takes int", "x"],
        ),
        ("a.csv", "name\nann\n", TYPED, ["Row 1", "no column 'age'", "Contact"]),
        ("a.csv", "name,age,vip\nann,1,maybe\n", TYPED, ["'vip' takes bool", "maybe"]),
        ("a.csv", "a,b\n1,2,3\n", PLAIN, ["Line 2 of", "3 fields", "heading has 2"]),
        ("a.csv", "a,a\n1,2\n", PLAIN, ["two columns 'a'"]),
        ("a.jsonl", '{"a": 1}\n{"a"\n', PLAIN, ["Line 2 of", "no JSON"]),
        ("a.jsonl", "3\n", TYPED, ["Row 1", "takes an object, not int"]),
    ],
)
def test_a_bad_row_is_told_by_its_number(
    name: str, text: str, job: Job[..., Any], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(BadRow) as caught:
        read(tmp_path / name, text, job)
    assert all(word in caught.value.message for word in words), caught.value.message


def test_what_is_not_utf_8_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(b"name\nJos\xe9\n")
    with pytest.raises(BadRow, match="not UTF-8"):
        list(row.rows(str(path), PLAIN))
