"""`tidemill cancel` and `kill`: AWS's CancelJob and TerminateJob."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli.job import ENDED, describe
from tidemill.sdk.client import client


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", default="Cancelled on the command line", show_default=True)
def cancel(job_ids: tuple[str, ...], reason: str) -> None:
    """End jobs that have not started; those that run are left alone (see `kill`)."""
    _each(job_ids, lambda batch, job_id: batch.cancel_job(jobId=job_id, reason=reason))


@click.command()
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--reason", default="Terminated on the command line", show_default=True)
def kill(job_ids: tuple[str, ...], reason: str) -> None:
    """End jobs wherever they are: SIGTERM to what runs, and SIGKILL 30 s later."""
    _each(job_ids, lambda batch, job_id: batch.terminate_job(jobId=job_id, reason=reason))


def _each(job_ids: tuple[str, ...], order: Any) -> None:
    jobs = describe(job_ids)  # an unknown id is refused before anything is ended
    batch = client("batch")
    for job in jobs:
        order(batch, job["jobId"])
        if job["status"] in ENDED:
            click.echo(f"{job['jobId']} had ended already: {job['status']}", err=True)
