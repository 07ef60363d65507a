"""What the line on the terminal says of a run."""

from __future__ import annotations

from tidemill.sdk.progress import Progress, line


def test_the_line_counts_items_and_says_why_nothing_runs() -> None:
    waiting = Progress(status="PENDING", why="needs 4 vCPU", done=0, total=10)
    assert line("render", waiting, 1.0).endswith("0/10  needs 4 vCPU")
    waits = "Waits for 5 children of 10 to end"
    running = Progress(status="PENDING", why=waits, done=5, total=10, failed=1)
    assert line("render", running, 2.0).endswith("5/10  1 failed  2.5/s  PENDING")


def test_the_line_says_what_the_job_says_of_itself() -> None:
    said = Progress(status="RUNNING", why="", done=30, total=120, note="page 30")
    assert line("read", said, 10.0).startswith("read  ███████░")
    assert line("read", said, 10.0).endswith("30/120  3.0/s  RUNNING  page 30")
    untold = Progress(status="RUNNING", why="", done=30, total=None)
    assert line("read", untold, 10.0).endswith("30  RUNNING")
