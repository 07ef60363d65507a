"""`tidemill cancel` and `kill`: AWS's CancelJob and TerminateJob, of one job or of many."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import click

from tidemill.cli.connection import client
from tidemill.cli.explain import ENDED
from tidemill.cli.handle import parts_of
from tidemill.cli.job import ACTIVE, describe
from tidemill.cli.output import JSON_OPTION, print_json
from tidemill.cli.selection import Choice, chooser

UNDER_WAY: Final = ("STARTING", "RUNNING")
NOT_STARTED: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
AT_ONCE: Final = 8
FAILED_HELP: Final = "Arrays of which a child has failed already."
Job = dict[str, Any]


def _reason_option(default: str) -> Callable[[Any], Any]:
    return click.option(
        "--reason",
        metavar="TEXT",
        default=default,
        show_default=True,
        help="What the job will say of its end.",
    )


@click.command()
@chooser(FAILED_HELP)
@_reason_option("Cancelled on the command line")
@JSON_OPTION
def cancel(choice: Choice, reason: str, as_json: bool) -> None:
    """End jobs that have not started; those that run are left alone (see `kill`).

    Give ids; or filters, of which all must hold: then the jobs that they find are counted, and you
    are asked. Exits with 1 when one was left alone.
    """
    jobs = _not_ended(choice.jobs("cancel", NOT_STARTED, has_failed=has_failures))
    _each(jobs, lambda job: client("batch").cancel_job(jobId=job["jobId"], reason=reason))
    running = [job for job in jobs if job["status"] in UNDER_WAY]
    for job in running:
        click.echo(f"{job['jobId']} runs already; `tidemill kill` ends it.", err=True)
    cancelled = [job["jobId"] for job in jobs if job["status"] not in UNDER_WAY]
    if as_json:
        print_json({"cancelled": cancelled, "leftAlone": [job["jobId"] for job in running]})
    sys.exit(1 if running else 0)


@click.command()
@chooser(FAILED_HELP)
@_reason_option("Terminated on the command line")
@JSON_OPTION
def kill(choice: Choice, reason: str, as_json: bool) -> None:
    """End jobs wherever they are: SIGTERM to what runs, and SIGKILL 30 s later.

    Give ids; or filters, of which all must hold: then the jobs that they find are counted, and you
    are asked.
    """
    jobs = _not_ended(choice.jobs("kill", ACTIVE, has_failed=has_failures))
    _each(jobs, lambda job: client("batch").terminate_job(jobId=job["jobId"], reason=reason))
    if as_json:
        print_json({"killed": [job["jobId"] for job in jobs]})


def has_failures(job: Job) -> bool:
    """Whether children of this array have failed, as its summary tells."""
    counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    return bool(counts.get("FAILED"))


def _each(jobs: list[Job], end: Callable[[Job], Any]) -> None:
    """End each, several at once: a round trip apiece would take minutes for thousands."""
    if len(jobs) < AT_ONCE:
        for job in jobs:
            end(job)
        return
    client("batch")  # made once, before the threads
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(end, jobs))


def _not_ended(jobs: list[Job]) -> list[Job]:
    """The jobs there are to end; with a part of a large map of the library, all of it."""
    parts = [job_id for job in jobs for job_id in parts_of(job)]
    if parts != [job["jobId"] for job in jobs]:
        jobs = describe(dict.fromkeys(parts))
    for job in jobs:
        if job["status"] in ENDED:
            click.echo(f"{job['jobId']} had ended already: {job['status']}", err=True)
    return [job for job in jobs if job["status"] not in ENDED]
