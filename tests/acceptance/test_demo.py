"""The demo on a real server: a site of linked pages; Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidemill.demo import site
from tidemill.sdk.local import local

NAMES = ["json", "json.decoder", "this", "antigravity", "winreg", "msvcrt", "enum", "_ctypes"]
LONG_S = 90.0


def test_some_modules_become_a_site(tmp_path: Path) -> None:
    with local():
        pages, published = site.start(tmp_path, NAMES)
        problems = published.result(timeout=LONG_S)
        rendered = pages.result()
    assert [page.name for page in rendered] == NAMES
    if sys.platform == "linux":
        assert [page.name for page in problems] == ["msvcrt", "winreg"]
    written = {path.name for path in tmp_path.iterdir()}
    expected = {f"{name}.html" for name in NAMES}
    assert written == expected | {"index.html", "sitemap.xml", "style.css"}
    index = (tmp_path / "index.html").read_text("utf-8")
    assert all(f'href="{name}.html"' in index for name in NAMES)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see that nothing is left")
def test_ctrl_c_stops_it_cleanly(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if "AWS" not in name}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "TMPDIR": str(tmp_path)}
    folder = tmp_path / "site"
    demo = subprocess.Popen(
        [sys.executable, "-m", "tidemill", "demo", "--output", str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    ready, _, _ = select.select([demo.stdout], [], [], LONG_S)
    assert ready
    assert "Started a private server" in demo.stdout.readline()
    _until(lambda: any(folder.glob("*.html")))
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=LONG_S)
    assert demo.returncode == 130
    assert "Stopped" in said
    assert not _processes_that_mention(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def _processes_that_mention(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if not re.fullmatch(r"\d+", entry.name) or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8")
        except OSError:
            continue
        if text in command:
            found.append(command)
    return found


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)
