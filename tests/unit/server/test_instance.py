"""How a running server is found: its note counts as long as it lives, and no longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tidemill.server import instance
from tidemill.server.instance import Instance, Note

HERE = Instance(pid=7, endpoint="http://127.0.0.1:1", region="us-east-1", account="0" * 12)


def test_the_note_is_there_while_its_server_lives(tmp_path: Path) -> None:
    assert instance.read(tmp_path) is None
    note = Note(tmp_path)
    note.leave(HERE)
    assert instance.read(tmp_path) == HERE
    assert instance.read(tmp_path) == HERE, "reading leaves the lock as it is"
    note.take_away()
    assert instance.read(tmp_path) is None
    assert not (tmp_path / instance.FILE).exists()
    note.take_away()


def test_a_note_without_its_server_does_not_count(tmp_path: Path) -> None:
    (tmp_path / instance.FILE).write_text(json.dumps({"pid": 1, "endpoint": "x"}))
    assert instance.read(tmp_path) is None


def test_a_server_that_took_over_keeps_its_note(tmp_path: Path) -> None:
    before, after = Note(tmp_path), Note(tmp_path)
    before.leave(HERE)
    heir = Instance(pid=8, endpoint="http://127.0.0.1:2", region="us-east-1", account="0" * 12)
    after.leave(heir)
    before.take_away()
    assert instance.read(tmp_path) == heir
    after.take_away()


@pytest.mark.parametrize(
    ("change", "is_known"),
    [({"added": "by a newer version"}, True), ({"pid": None}, True), (None, False)],
)
def test_notes_of_other_versions(change: dict[str, object], is_known: bool, tmp_path: Path) -> None:
    note = Note(tmp_path)
    note.leave(HERE)
    path = tmp_path / instance.FILE
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, **change}) if change else "{")
    assert (instance.read(tmp_path) is not None) is is_known
    note.take_away()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert instance.read(tmp_path / "nothing") is None
    (tmp_path / "file").touch()
    assert instance.read(tmp_path / "file") is None
