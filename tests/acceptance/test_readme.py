"""README's tour, as a newcomer types it: each block is run, and prints what README says.

All shell blocks run in one shell, in a home folder of their own, so that what one sets the next
may use. A block of Python is the file that its first line names. A block of text is what the shell
block before it printed, but for ids, times and this machine's size.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tidemill.sdk.local import LocalServer

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240.0
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
VARIES = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<id>",
    r"\b127\.0\.0\.1:\d+": "<server>",
    r"\bhas \d+ in all": "has <size> in all",
    r"\btook (\d+(ms|s|m) ?)+": "took <time>",
}
# The server runs beside the shell instead of in a terminal of its own; the shell goes on as soon
# as it answers. Started again it keeps its port, as it would by default.
PRELUDE = """
set -eu
mkfifo "$HOME/ready"
tidemill() {
    if [ "$1" != serve ]; then command tidemill "$@"; return; fi
    command tidemill serve --port "${PORT:-0}" --ready-fd 7 \\
        7>"$HOME/ready" >>"$HOME/said" 2>&1 &
    read -r -t 60 <"$HOME/ready" || { cat "$HOME/said"; exit 1; }
    PORT=$(sed -n 's/.*"endpoint": "[^"]*:\\([0-9]*\\)".*/\\1/p' \\
        "$HOME/.local/share/tidemill/server.json")
    head -1 "$HOME/said"
}
"""
MARK = "=== block"


@dataclass(slots=True)
class Block:
    """A shell block of README, and what it should print; None where README does not say."""

    commands: str
    files: dict[str, str] = field(default_factory=dict)
    expected: str | None = None


def blocks() -> list[Block]:
    """The shell blocks of the tour, each with the files that README shows before it."""
    found: list[Block] = []
    files: dict[str, str] = {}
    for kind, text in BLOCK.findall((ROOT / "README.md").read_text("utf-8")):
        match kind:
            case "sh":
                found.append(Block(text, files))
                files = {}
            case "python":
                files[text.splitlines()[0].removeprefix("# ")] = text
            case _:
                found[-1].expected = text
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; whatever server and jobs the tour leaves there are ended."""
    yield tmp_path
    data = tmp_path / ".local" / "share" / "tidemill"
    if (data / "engines" / "process" / "runner.sock").exists():  # the tour broke off
        stop = (sys.executable, "-m", "tidemill", "stop", "--jobs", "--data", data)
        if subprocess.run(stop, capture_output=True).returncode:
            LocalServer(data).stop()  # only a server can end what a dead one left


def test_the_tour(home: Path) -> None:
    tour = blocks()
    project = home / "project"
    project.mkdir()
    script = PRELUDE
    for number, block in enumerate(tour):
        for name, text in block.files.items():
            (project / name).write_text(text, "utf-8")
        script += f"echo '{MARK} {number}'\n{block.commands}"
    (home / "tour.sh").write_text(script, "utf-8")
    done = subprocess.run(
        ["bash", home / "tour.sh"],
        cwd=project,
        env=_environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout
    printed = re.split(rf"^{MARK} \d+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(tour)
    for block, text in zip(tour, printed, strict=True):
        if block.expected is not None:
            assert _plain(text, home) == _plain(block.expected, home), block.commands


def test_the_files_that_the_documents_name_are_there() -> None:
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{document.relative_to(ROOT)} -> {target}"
        for document in documents
        for target in LINK.findall(document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    assert dead == []


def _environment(home: Path) -> dict[str, str]:
    """A terminal with the virtual environment's commands, and no AWS configuration at all."""
    ours = ("AWS_", "TIDEMILL_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {**kept, "HOME": str(home), "PATH": path, "AWS_PAGER": ""}


def _plain(text: str, home: Path) -> str:
    text = text.replace(str(home), "/home/you")
    for pattern, stand_in in VARIES.items():
        text = re.sub(pattern, stand_in, text)
    return text
