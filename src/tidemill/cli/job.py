"""Jobs as the commands see them: found by id, or a clear sentence when there is none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from tidemill.sdk.client import client

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
ENDED = ("SUCCEEDED", "FAILED")
DESCRIBE_MAX = 100


def describe(job_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The details of each id, in the order asked; an unknown one is refused by name."""
    wanted = list(job_ids)
    batch = client("batch")
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), DESCRIBE_MAX):
        answer = batch.describe_jobs(jobs=wanted[start : start + DESCRIBE_MAX])
        found.update((job["jobId"], job) for job in answer["jobs"])
    for job_id in wanted:
        if job_id not in found:
            raise click.ClickException(
                f"No job has the id {job_id}; `tidemill ps --all` lists the jobs there are."
            )
    return [found[job_id] for job_id in wanted]


def listed(statuses: Iterable[str], queue: str | None = None) -> Iterator[dict[str, Any]]:
    """Job summaries with these statuses, in one queue or in all, each with its queue's name."""
    batch = client("batch")
    queues = [queue] if queue else [q["jobQueueName"] for q in _queues(batch)]
    pages = batch.get_paginator("list_jobs")
    for name in queues:
        for status in statuses:
            for page in pages.paginate(jobQueue=name, jobStatus=status):
                for summary in page["jobSummaryList"]:
                    yield {**summary, "queue": name}


def _queues(batch: Any) -> Iterator[dict[str, Any]]:
    for page in batch.get_paginator("describe_job_queues").paginate():
        yield from page["jobQueues"]


def project_environment() -> list[dict[str, str]]:
    """What a command needs to run as it would in this terminal: its folder and its PATH."""
    return [
        {"name": "TIDEMILL_DIRECTORY", "value": str(Path.cwd())},
        {"name": "PATH", "value": os.environ.get("PATH", os.defpath)},
    ]


def exit_code(job: dict[str, Any]) -> int:
    """The exit code to hand on for an ended job: its own, or 1 when it failed without one."""
    if job["status"] == "SUCCEEDED":
        return 0
    code = (job.get("container") or {}).get("exitCode")
    if code is None and job.get("attempts"):
        code = (job["attempts"][-1].get("container") or {}).get("exitCode")
    return int(code) if code else 1
