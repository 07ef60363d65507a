"""A frame fits the screen, shares its lines out, and counts what it leaves out."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli.frame import Block, frame, running_block, waiting_block


def block(name: str, rows: int) -> Block:
    return Block(columns=[name], rows=[[f"{name}{row}"] for row in range(rows)], total=rows)


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_a_small_screen_is_shared_out() -> None:
    lines = plain(frame(["head"], [block("a", 50), block("b", 1), block("c", 50)], 80, 20))
    assert len(lines) == 20
    assert "b0" in lines, "a small block is not crowded out"
    [first, second] = [line for line in lines if line.startswith("... and")]
    shown = sum(line.startswith("a") for line in lines) - 1
    assert first == f"... and {50 - shown} more"
    assert second.endswith("more")


def test_what_is_empty_has_no_heading() -> None:
    assert plain(frame(["head"], [block("a", 0), block("b", 1)], 80, 24)) == ["head", "", "b", "b0"]


def test_a_screen_of_no_lines_shows_the_heading() -> None:
    assert frame(["head", "more"], [block("a", 3)], 80, 2) == ["head", "more"]


def job(job_id: str, status: str, **more: Any) -> dict[str, Any]:
    return {"jobId": job_id, "jobName": "n", "queue": "q", "status": status, "createdAt": 0, **more}


def test_an_array_runs_or_waits_by_its_children() -> None:
    running = {
        "size": 5,
        "statusSummary": {"RUNNING": 2, "RUNNABLE": 1, "SUCCEEDED": 1, "FAILED": 1},
    }
    waiting = {"size": 5, "statusSummary": {"RUNNABLE": 5}}
    jobs = [
        job("a" * 36, "PENDING", arrayProperties=running),
        job("b" * 36, "PENDING", arrayProperties=waiting, statusReason="CODE:X - needs 1 vCPU"),
        job("c" * 36, "RUNNING", startedAt=1),
    ]
    rows = running_block(jobs, {"c" * 36: "50%"}, 80).rows
    assert [row[0] for row in rows] == ["a" * 8, "c" * 8]
    assert rows[0][-1] == "2 of 5 ended, 1 failed, 2 running"
    assert rows[1][-1] == "50%"
    [row] = waiting_block(jobs, 200).rows
    assert (row[0], row[-1]) == ("b" * 36, "0 of 5 ended; needs 1 vCPU")
