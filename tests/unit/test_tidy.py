"""The house style that a machine can hold: names, sizes, purity, words that stay out."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "tidemill"
MODULES = sorted(SOURCE.rglob("*.py"))

VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "base", "misc"}
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

# Inside a service only these kinds of file may touch the world; every other one is pure.
WORLDLY = {"api", "run", "store"}
IMPURE = {
    "asyncio", "time", "random", "secrets", "sqlite3", "apsw", "asyncpg", "subprocess",
    "socket", "http", "urllib", "threading", "os", "pathlib", "uuid",
}  # fmt: skip
# A service whose state is in the database and on disk alone has no pure core to protect:
# S3 moves bytes, Logs reads files, and both say so in the names of these modules.
WORLDLY_SERVICES = {"s3", "logs", "sts"}


def tracked_text() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_is_tidy(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert path.stem not in VAGUE, "a module is named for what it decides"
    assert text.count("\n") <= MODULE_LINES_MAX, "past 500 lines a module is two things"
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it decides and what it refuses to know"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} is {length} lines: two functions"


def pure_modules() -> list[Path]:
    services = SOURCE / "services"
    return [
        path
        for path in MODULES
        if path.is_relative_to(services)
        and path.stem not in WORLDLY
        and len(path.relative_to(services).parts) > 1
        and path.relative_to(services).parts[0] not in WORLDLY_SERVICES
    ]


@pytest.mark.parametrize("path", pure_modules(), ids=relative)
def test_decisions_are_pure(path: Path) -> None:
    impure = imported(ast.parse(path.read_text("utf-8"))) & IMPURE
    assert not impure, f"decides, so it may not import {sorted(impure)}"


def test_repository_speaks_of_tidemill_alone() -> None:
    words = re.compile(
        r"/work/(main|shared)|/tmp/tm\b|/root/|pypi\.org|pythonhosted", re.IGNORECASE
    )
    here = Path(__file__).resolve()
    found = [
        f"{relative(path)}: {match.group()}"
        for path in tracked_text()
        if path != here and path.suffix not in {".png", ".ico"}
        for match in words.finditer(path.read_text("utf-8", errors="replace"))
    ]
    assert not found


PAUSES = ("# polls", "# the job's own", "# any moment is right")


def sleeps(path: Path) -> list[int]:
    """Lines that call `time.sleep` without saying why that decides nothing."""
    lines = path.read_text("utf-8").splitlines()
    return [
        node.lineno
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "time.sleep"
        and not lines[node.lineno - 1].endswith(PAUSES)
    ]


def test_no_test_sleeps_to_be_right() -> None:
    found = {
        relative(path): lines
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (lines := sleeps(path))
    }
    assert not found, "wait for what you want to see, with a deadline"
