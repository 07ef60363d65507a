"""Dataclasses from what was compiled before: the same classes, found by their text alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import dataclasses
from tidemill.server import precompiled
precompiled.begin()
compiled = []
precompiled.compile = lambda text, *rest: compiled.append(text) or compile(text, *rest)

@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = {default}

precompiled.end()
assert "exec" not in vars(dataclasses), "what comes later is made as ever"
print(Point(x=1), Point(x=1, y=5) == Point(y=5, x=1), hash(Point(x=1)) == hash(Point(x=1)))
print(len(compiled))
"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., tuple[str, int]]:
    """Runs the program; what its class does, and how many functions were compiled for it."""

    def run(default: int = 2, *options: str) -> tuple[str, int]:
        done = subprocess.run(
            [
                *(sys.executable, "-X", f"pycache_prefix={tmp_path}", *options),
                *("-c", PROGRAM.format(default=default)),
            ],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[3] / "src")},
        )
        said, count = done.stdout.splitlines()
        return said, int(count)

    return run


def kept(folder: Path) -> Path:
    [file] = folder.rglob("*.dataclasses")
    return file


def test_it_is_compiled_once(made: Callable[..., tuple[str, int]]) -> None:
    first, compiled = made()
    assert first == "Point(x=1, y=2) True True"
    assert compiled > 3
    assert made() == (first, 0)


def test_another_class_is_compiled(made: Callable[..., tuple[str, int]], tmp_path: Path) -> None:
    made()
    before = kept(tmp_path).read_bytes()
    said, _ = made(3)
    assert said == "Point(x=1, y=3) True True", "a default is no part of the text"
    assert kept(tmp_path).read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"no code at all", b"i\x01\x00\x00\x00", b"\xff" * 99])
def test_a_damaged_file_is_made_anew(
    data: bytes, made: Callable[..., tuple[str, int]], tmp_path: Path
) -> None:
    said, compiled = made()
    kept(tmp_path).write_bytes(data)
    assert made() == (said, compiled)
    assert made() == (said, 0)


def test_nothing_is_kept_where_python_keeps_nothing(
    made: Callable[..., tuple[str, int]], tmp_path: Path
) -> None:
    _, compiled = made(2, "-B")
    assert made(2, "-B")[1] == compiled
    assert not list(tmp_path.rglob("*.dataclasses"))
