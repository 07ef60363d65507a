"""docs/sdk.md's first job does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tidemill.sdk.local import local

PAGE = Path(__file__).parents[2] / "docs" / "sdk.md"


def test_the_first_job_prints_what_the_page_says(tmp_path: Path) -> None:
    section = PAGE.read_text("utf-8").partition("## A first job")[2]
    program, command, said = re.findall(r"```(?:python|sh|text)\n(.+?)```", section, re.DOTALL)[:3]
    assert command == "python first.py\n"
    (tmp_path / "first.py").write_text(program)
    with local() as server:
        done = subprocess.run(
            [sys.executable, "first.py"],
            cwd=tmp_path,
            env=os.environ | server.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr) == (said, "")


def test_links_within_the_page_lead_somewhere() -> None:
    text = PAGE.read_text("utf-8")
    headings = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    known = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= known
