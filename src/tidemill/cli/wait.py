"""`tidemill wait`: stay until jobs have ended, then exit as they did."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

from tidemill.cli.argument import JOB_IDS
from tidemill.cli.explain import ENDED, ended, explain, is_hopeless, size
from tidemill.cli.handle import parts_of
from tidemill.cli.job import describe, exit_code
from tidemill.cli.output import JSON_OPTION, coloured, print_json
from tidemill.cli.progress import note

FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 2.0
NOTE_S = 1.0
TIMED_OUT = 124
"""The exit code of timeout(1)."""


@click.command()
@JOB_IDS
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="Give up after so many seconds."
)
@JSON_OPTION
def wait(job_ids: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Wait until every job has ended.

    A map of the library that is several arrays is waited for as a whole; of one that was retried,
    the jobs that do again what failed.

    Exits with the first job's exit code that is not 0, with 1 for a failed job that has none, and
    with 124 when --timeout passes first.
    """
    ids = (job_id for job in describe(job_ids) for job_id in parts_of(job))
    jobs = _ended(list(dict.fromkeys(ids)), timeout)
    if as_json:
        print_json(jobs)
    else:
        for job in jobs:
            click.echo(f"{job['jobId']} {coloured(job['status'])}: {explain(job)}")
    sys.exit(next(filter(None, map(exit_code, jobs)), 0))


def _ended(job_ids: list[str], timeout_s: float | None) -> list[dict[str, Any]]:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    report = Report()
    try:
        while True:
            jobs = describe(job_ids)
            waiting = [job for job in jobs if job["status"] not in ENDED]
            if not waiting:
                return jobs
            report.show(jobs, waiting)
            left_s = pause_s if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LAST_PAUSE_S)
    finally:
        report.clear()
    click.echo(_still(waiting), err=True)
    sys.exit(TIMED_OUT)


def _still(waiting: list[dict[str, Any]]) -> str:
    job = waiting[0]
    others = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return f"{job['jobId']} is still {job['status']}{others}; `tidemill why` says what for."


class Report:
    """A line on the terminal that says how far the jobs are; elsewhere only what bodes ill."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._warned: set[str] = set()
        self._is_painted = False
        self._note, self._noted_s = "", 0.0

    def show(self, jobs: list[dict[str, Any]], waiting: list[dict[str, Any]]) -> None:
        """Show how it stands; `waiting` are those of `jobs` that have not ended."""
        for job in waiting:
            if is_hopeless(job) and job["jobId"] not in self._warned:
                self._warned.add(job["jobId"])
                self.clear()
                click.echo(f"{job['jobId']} can't run: {job['statusReason']}", err=True)
        if self._is_terminal:
            line = _line(jobs, waiting[0], self._said(waiting[0]))[
                : shutil.get_terminal_size().columns - 1
            ]
            sys.stderr.write("\r\x1b[2K" + line)
            sys.stderr.flush()
            self._is_painted = True

    def _said(self, job: dict[str, Any]) -> str:
        """What the job says of its progress; it is asked once a second."""
        if job["status"] in ("RUNNING", "PENDING") and time.monotonic() >= self._noted_s + NOTE_S:
            self._note, self._noted_s = note(job), time.monotonic()
        return self._note

    def clear(self) -> None:
        """Take the line away."""
        if self._is_painted:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._is_painted = False


def _line(jobs: list[dict[str, Any]], first: dict[str, Any], said: str) -> str:
    total = sum(size(job) or 1 for job in jobs)
    done = sum((size(job) or 1) if job["status"] in ENDED else ended(job) for job in jobs)
    told = said or explain(first)
    return f"{done} of {total} ended; {first['jobName']} is {first['status']}: {told}"
