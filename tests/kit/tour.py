"""A document's tour, as a newcomer types it: each block is run, and prints what the document says.

All shell blocks run in one shell, in a home folder of their own, so that what one sets the next
may use. A block of Python is the file that its first line names. A block of text is what the shell
block before it printed, but for ids, times and this machine's size; where it has a line `...`,
whatever lines stand there are not looked at. Blocks of other kinds are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tidemill.sdk.local import LocalServer

DEADLINE_S = 240.0
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<id>",
    r"\b127\.0\.0\.1:\d+": "<server>",
    r"\bhas \d+ in all": "has <size> in all",
    r"\btook (\d+(ms|s|m) ?)+": "took <time>",
}
ELISION = "...\n"
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
    """A shell block, and what it should print; None where the document does not say."""

    commands: str
    files: dict[str, str] = field(default_factory=dict)
    expected: str | None = None


def blocks(document: Path) -> list[Block]:
    """The shell blocks of the tour, each with the files that the document shows before it."""
    found: list[Block] = []
    files: dict[str, str] = {}
    for kind, text in BLOCK.findall(document.read_text("utf-8")):
        match kind:
            case "sh":
                found.append(Block(text, files))
                files = {}
            case "python":
                files[text.splitlines()[0].removeprefix("# ")] = text
            case _:
                found[-1].expected = text
    assert not files, f"no command follows {list(files)}"
    return found


def take(document: Path, home: Path) -> None:
    """Run the whole tour in `home`; fails where it prints something else than the document."""
    tour = blocks(document)
    project = home / "project"
    project.mkdir()
    script = PRELUDE
    for number, block in enumerate(tour):
        script += f"echo '{MARK} {number}'\n"
        for name, text in block.files.items():
            (home / f"{number}-{name}").write_text(text, "utf-8")
            script += f"cp '{home}/{number}-{name}' '{name}'\n"
        script += block.commands
    (home / "tour.sh").write_text(script, "utf-8")
    with left_behind_ended(home):
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
            _compare(block.commands, _plain(text, home), _plain(block.expected, home))


@contextmanager
def left_behind_ended(home: Path) -> Iterator[None]:
    """Afterwards end whatever server and jobs the tour has left in `home`."""
    try:
        yield
    finally:
        data = home / ".local" / "share" / "tidemill"
        if (data / "engines" / "process" / "runner.sock").exists():  # the tour broke off
            stop = (sys.executable, "-m", "tidemill", "stop", "--jobs", "--data", data)
            if subprocess.run(stop, capture_output=True).returncode:
                LocalServer(data).stop()  # only a server can end what a dead one left


def _compare(commands: str, printed: str, expected: str) -> None:
    """With elisions: what stands between them is printed, in that order, from start to end."""
    first, *others = expected.split(ELISION)
    if not others:
        assert printed == expected, commands
        return
    assert printed.startswith(first), f"{commands}{printed}"
    at = len(first)
    for part in others:
        found = printed.find(part, at)
        assert found >= 0, f"{commands}{printed} lacks {part}"
        at = found + len(part)
    assert not others[-1] or printed.endswith(others[-1]), f"{commands}{printed}"


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
