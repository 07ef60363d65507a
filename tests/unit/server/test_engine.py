"""Which engines a server has: its own without being asked, others where a package names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.engines.process.engine import ProcessEngine
from tidemill.server import engine
from tidemill.server.config import StartError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(folder: Path, value: str) -> None:
    info = folder / "other_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[tidemill.engines]\nother = {value}\n")


def test_the_process_engine_is_always_there(tmp_path: Path) -> None:
    found = engine.load_all(tmp_path)
    assert isinstance(found["process"], ProcessEngine)


def test_an_engine_of_another_package(folder: Path) -> None:
    install(folder, "other_engine_module:make")
    (folder / "other_engine_module.py").write_text("def make(own, logs): return (own, logs)\n")
    found = engine.load_all(folder / "data")
    assert {"process", "other"} <= found.keys()
    assert found["other"] == (folder / "data/engines/other", folder / "data/logs")


def test_an_engine_that_lacks_something(folder: Path) -> None:
    install(folder, "no_such_module_anywhere:make")
    with pytest.raises(StartError, match=r"'other'.*no_such_module_anywhere.*install"):
        engine.load_all(folder / "data")


def test_an_engine_whose_package_no_longer_names_it(folder: Path) -> None:
    install(folder, "other_engine_renamed:make")
    (folder / "other_engine_renamed.py").write_text("def made(own, logs): ...\n")
    with pytest.raises(StartError, match=r"'other'.*has no attribute 'make'.*install"):
        engine.load_all(folder / "data")
