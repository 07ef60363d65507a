"""`tidemill cancel` and `kill`: AWS's CancelJob and TerminateJob."""

from __future__ import annotations

import sys
from typing import Any

import click

from tidemill.cli.connection import client
from tidemill.cli.explain import ENDED
from tidemill.cli.job import describe

UNDER_WAY = ("STARTING", "RUNNING")


@click.command(short_help="End jobs that have not started.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", default="Cancelled on the command line", show_default=True)
def cancel(job_ids: tuple[str, ...], reason: str) -> None:
    """End jobs that have not started; those that run are left alone (see `kill`).

    Exits with 1 when one was left alone.
    """
    jobs = _not_ended(job_ids)
    for job in jobs:
        client("batch").cancel_job(jobId=job["jobId"], reason=reason)
    running = [job for job in jobs if job["status"] in UNDER_WAY]
    for job in running:
        click.echo(f"{job['jobId']} runs already; `tidemill kill` ends it.", err=True)
    sys.exit(1 if running else 0)


@click.command(short_help="End jobs, those that run too.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", default="Terminated on the command line", show_default=True)
def kill(job_ids: tuple[str, ...], reason: str) -> None:
    """End jobs wherever they are: SIGTERM to what runs, and SIGKILL 30 s later."""
    for job in _not_ended(job_ids):
        client("batch").terminate_job(jobId=job["jobId"], reason=reason)


def _not_ended(job_ids: tuple[str, ...]) -> list[dict[str, Any]]:
    """The jobs there are to end; an unknown id is refused before any is ended."""
    jobs = describe(job_ids)
    for job in jobs:
        if job["status"] in ENDED:
            click.echo(f"{job['jobId']} had ended already: {job['status']}", err=True)
    return [job for job in jobs if job["status"] not in ENDED]
