"""`tidemill logs`: what a job printed, and with -f what it prints until it ends."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from tidemill.cli.job import ENDED, describe
from tidemill.cli.output import JSON_OPTION, print_json
from tidemill.sdk.client import client

GROUP = "/aws/batch/job"
PAUSE_S = 0.5


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Stay until the job has ended.")
@click.option("--attempt", type=click.IntRange(1), help="This attempt's; the newest by default.")
@JSON_OPTION
def logs(job_id: str, follow: bool, attempt: int | None, as_json: bool) -> None:
    """Print a job's output. For one child of an array name it: ID:3."""
    token: str | None = None
    shown: str | None = None
    while True:
        [job] = describe([job_id])
        _refuse_array(job)
        ended = job["status"] in ENDED
        group, stream = _stream(job, attempt)
        if stream is not None:
            if stream != shown:
                token, shown = None, stream
            token = _print_from(group, stream, token, as_json)
        if not follow or ended:
            return
        time.sleep(PAUSE_S)


def _refuse_array(job: dict[str, Any]) -> None:
    size = (job.get("arrayProperties") or {}).get("size")
    if size:
        job_id = job["jobId"]
        raise click.ClickException(
            f"{job_id} is an array of {size} jobs, each with output of its own; "
            f"name one, for example `tidemill logs {job_id}:0`."
        )


def _stream(job: dict[str, Any], attempt: int | None) -> tuple[str, str | None]:
    container = job.get("container") or {}
    options = (container.get("logConfiguration") or {}).get("options") or {}
    group = options.get("awslogs-group", GROUP)
    if attempt is None:
        return group, container.get("logStreamName")
    attempts = job.get("attempts", [])
    if attempt > len(attempts):
        raise click.ClickException(
            f"{job['jobId']} has {len(attempts)} finished attempts, so there is no "
            f"--attempt {attempt}."
        )
    return group, (attempts[attempt - 1].get("container") or {}).get("logStreamName")


def _print_from(group: str, stream: str, token: str | None, as_json: bool) -> str | None:
    api = client("logs")
    while True:
        place = {"nextToken": token} if token else {}
        page = api.get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True, **place
        )
        for event in page["events"]:
            if as_json:
                print_json(event)
            else:
                sys.stdout.write(event["message"] + "\n")
        sys.stdout.flush()
        if page["nextForwardToken"] == token:
            return token
        token = page["nextForwardToken"]
