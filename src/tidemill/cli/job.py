"""Jobs as the commands see them: found by id, or a clear sentence when there is none."""

from __future__ import annotations

import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from tidemill.cli.connection import client

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
DESCRIBE_MAX = 100
NEWEST_MAX = 1000
_ID_BEGINS = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}(?=$|[:#])")


def describe(job_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The details of each id, in the order asked; an unknown one is refused by name.

    The first letters of an id do, where no other of the newest thousand jobs begins so.
    """
    wanted = list(job_ids)
    found = find(wanted)
    for place, job_id in enumerate(wanted):
        if job_id not in found:
            wanted[place] = whole = _whole(job_id)
            found |= find([whole])
    return [found[job_id] for job_id in wanted]


def _whole(begun: str) -> str:
    """The id that begins so, of a job or, after `:` or `#`, of a part of it."""
    letters = _ID_BEGINS.match(begun)
    jobs = itertools.islice(newest(), NEWEST_MAX) if letters else iter(())
    start = letters[0] if letters else ""
    fitting = [job["jobId"] for job in jobs if job["jobId"].startswith(start)]
    if len(fitting) > 1:
        raise click.ClickException(f"{len(fitting)} jobs have ids that begin with {start}.")
    whole = "".join(fitting) + begun[len(start) :]
    if not fitting or whole not in find([whole]):
        raise click.ClickException(
            f"No job has the id {begun!r}; `tidemill ps --all` lists the jobs there are."
        )
    return whole


def find(job_ids: list[str]) -> dict[str, dict[str, Any]]:
    """The details of those ids that are known."""
    batch = client("batch")
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(job_ids), DESCRIBE_MAX):
        answer = batch.describe_jobs(jobs=job_ids[start : start + DESCRIBE_MAX])
        found.update((job["jobId"], job) for job in answer["jobs"])
    return found


def listed(statuses: Iterable[str], queue: str | None = None) -> Iterator[dict[str, Any]]:
    """Job summaries with these statuses, in one queue or in all, each with its queue's name."""
    for name in [queue] if queue else queue_names():
        for status in statuses:
            yield from _pages(name, jobStatus=status)


def newest(queue: str | None = None) -> Iterator[dict[str, Any]]:
    """All job summaries, those that ended too, the newest first."""
    everything = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    queues = [queue] if queue else queue_names()
    return heapq.merge(
        *(_pages(name, filters=everything) for name in queues), key=lambda job: -job["createdAt"]
    )


def _pages(queue: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    pages = client("batch").get_paginator("list_jobs")
    for page in pages.paginate(jobQueue=queue, **parameters):
        for summary in page["jobSummaryList"]:
            yield {**summary, "queue": queue}


def queue_names() -> list[str]:
    """The names of all queues."""
    pages = client("batch").get_paginator("describe_job_queues").paginate()
    return [queue["jobQueueName"] for page in pages for queue in page["jobQueues"]]


def children(parent: str, statuses: Iterable[str]) -> Iterator[str]:
    """The ids of an array's children in these states."""
    pages = client("batch").get_paginator("list_jobs")
    for status in statuses:
        for page in pages.paginate(arrayJobId=parent, jobStatus=status):
            for summary in page["jobSummaryList"]:
                yield summary["jobId"]


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
