"""Paths and files in values: what is sent, what stays a name, what comes back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tidemill as tm
from tidemill.sdk import codec, parcel
from tidemill.sdk.file import File
from tidemill.sdk.shape import shape_of

FOLDER = "s3://b/runs/1/files/0.1/"


@dataclass
class Report:
    page: Path
    others: tuple[Path, ...]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """While a result is encoded: what was uploaded, by URL; and what a download gives."""
    objects = dict[str, bytes]()

    def upload(file: File, path: str | os.PathLike[str]) -> File:
        objects[file.url] = Path(path).read_bytes()
        return file

    def download(file: File, path: str | os.PathLike[str]) -> Path:
        Path(path).write_bytes(objects[file.url])
        return Path(path)

    monkeypatch.setattr(File, "upload", upload)
    monkeypatch.setattr(File, "download", download)
    parcel.begin(lambda: FOLDER)
    yield objects
    parcel.finish()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A file."""
    path = tmp_path / "page.txt"
    path.write_text("page")
    return path


def moved(value: Any, hint: Any = None) -> tuple[str, Any]:
    """How a result is encoded, and what comes back."""
    encoded = codec.encode(value, shape_of(hint))
    parcel.finish()
    return encoded.kind, codec.decode(encoded, shape_of(hint))


@pytest.mark.parametrize(
    ("kind", "hint"), [("j", list[Path]), ("p", None), ("p", list[Any]), ("j", list[Path | None])]
)
def test_files_are_copied_and_names_are_not(
    sent: dict[str, bytes], page: Path, kind: str, hint: Any
) -> None:
    given = [page, page.parent, Path("nothing"), page]
    how, (copy, folder, nothing, again) = moved(given, hint)
    assert how == kind
    assert (copy.read_text(), copy.name, copy != page) == ("page", "page.txt", True)
    assert (folder, nothing) == (page.parent, Path("nothing"))
    assert again.read_text() == "page"
    assert sent == {f"{FOLDER}0/page.txt": b"page"}


def test_a_dataclass_with_paths_is_json_and_read_back_without_a_copy(
    sent: dict[str, bytes], page: Path
) -> None:
    how, report = moved(Report(page, (page, Path("a"))), Report)
    assert how == "j"
    assert report.page.read_text() == report.others[0].read_text() == "page"
    assert report.others[1] == Path("a")
    assert len(sent) == 1


def test_copies_are_apart(sent: dict[str, bytes], page: Path) -> None:
    _, (first, second) = moved([page, page], list[Path])
    first.write_text("changed")
    assert (second.read_text(), page.read_text()) == ("page", "page")
    assert len(sent) == 1


def test_an_open_file_is_sent_from_its_start(sent: dict[str, bytes], page: Path) -> None:
    with page.open("rb") as file:
        file.seek(2)
        how, copy = moved({"open": file})
    assert how == "p"
    with copy["open"] as read:
        assert read.read() == b"page"


def test_a_pipe_is_no_file(sent: dict[str, bytes]) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as pipe, pytest.raises(TypeError, match="cannot pickle"):
        codec.encode(pipe)
    assert sent == {}


def test_paths_in_arguments_are_names(page: Path) -> None:
    for hint in (list[Path], None):
        encoded = codec.encode([page], shape_of(hint))
        assert codec.decode(encoded, shape_of(hint)) == [page]
    assert codec.encode([page], shape_of(list[Path])).data == f'["{page}"]'.encode()


def test_a_file_travels_as_its_url() -> None:
    file = tm.File("s3://b/k")
    assert codec.encode(file, shape_of(tm.File)).data == b'"s3://b/k"'
    for hint in (list[tm.File], None):
        assert codec.decode(codec.encode([file], shape_of(hint)), shape_of(hint)) == [file]


@pytest.mark.parametrize("url", ["b/k", "s3://b", "s3://b/", "s3:///k", "https://b/k"])
def test_a_file_needs_a_url_of_s3(url: str) -> None:
    with pytest.raises(ValueError, match="needs a URL like s3://bucket/key"):
        tm.File(url)


def test_what_killed_processes_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(parcel, "_folder", None)
    left = tmp_path / "tidemill-files-left"
    left.mkdir()
    (left / ".lock").touch()
    own = parcel._own_folder()
    monkeypatch.setattr(parcel, "_folder", None)
    assert parcel._own_folder() != own
    assert own.exists()  # whose lock is held
    assert not left.exists()
