"""`tidemill wait`: stay until jobs have ended, then exit as they did."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tidemill.cli.job import ENDED, describe, exit_code
from tidemill.cli.output import JSON_OPTION, print_json

FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 2.0


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--timeout", type=click.FloatRange(min=0), help="Give up after so many seconds.")
@JSON_OPTION
def wait(job_ids: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Wait until every job has ended.

    Exits with the first job's exit code that is not 0, with 1 for a failed job that has none, and
    with 124 when --timeout passes first.
    """
    jobs = _ended(list(job_ids), timeout)
    if as_json:
        print_json(jobs)
    else:
        for job in jobs:
            reason = f": {job['statusReason']}" if job.get("statusReason") else ""
            click.echo(f"{job['jobId']} {job['status']}{reason}")
    sys.exit(next(filter(None, map(exit_code, jobs)), 0))


def _ended(job_ids: list[str], timeout_s: float | None) -> list[dict[str, Any]]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    with _progress() as report:
        while True:
            jobs = describe(job_ids)
            report(jobs)
            waiting = [job for job in jobs if job["status"] not in ENDED]
            if not waiting:
                return jobs
            if deadline is not None and time.monotonic() + pause_s > deadline:
                click.echo(_still(waiting), err=True)
                sys.exit(124)
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LAST_PAUSE_S)


def _still(waiting: list[dict[str, Any]]) -> str:
    job = waiting[0]
    others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return f"{job['jobId']} is still {job['status']}{others}; `tidemill why` says what for."


@contextmanager
def _progress() -> Iterator[Any]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("waiting", total=None)
        yield lambda jobs: bar.update(
            task, total=sum(map(_size, jobs)), completed=sum(map(_done, jobs))
        )


def _size(job: dict[str, Any]) -> int:
    return int((job.get("arrayProperties") or {}).get("size", 1))


def _done(job: dict[str, Any]) -> int:
    if job["status"] in ENDED:
        return _size(job)
    summary = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    return sum(summary.get(status, 0) for status in ENDED)
