"""How long a job will take, from how long its like took: a median of what was measured lately.

Like a job are the newest that ended well in its queue under the same definition; of commands that
were submitted by `tidemill submit`, which share one definition, those of the same name. It says on
how many an estimate is based, and nothing where nothing has been measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median
from typing import Any, Final

from tidemill.cli.connection import client
from tidemill.cli.explain import size
from tidemill.cli.output import age
from tidemill.cli.submit import DEFINITION

SAMPLES_MAX: Final = 100
PAGES_MAX: Final = 3
ARRAYS_MAX: Final = 4
Job = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """The median of `samples` durations."""

    median_ms: float
    samples: int

    def told(self) -> str:
        """In words."""
        took = age(0, int(self.median_ms))
        if self.samples == 1:
            return f"the only one like it that ended well took {took}"
        return f"the last {self.samples} like it that ended well took {took} (median)"

    def plain(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def measured(job: Job) -> Measured | None:
    """How long jobs like this one took; None where nothing is known yet.

    A child of an array is measured for an array, and for another child.
    """
    lasted = list(islice(_durations(job), SAMPLES_MAX))
    return Measured(median(lasted), len(lasted)) if lasted else None


def _durations(job: Job) -> Iterator[int]:
    arrays = 0
    own = job["jobId"].partition(":")[0]
    if size(job) or ":" in job["jobId"]:  # its own children are most like it
        arrays += 1
        yield from _of_children(own)
    for other in _like(job):
        if size(other):
            if other["jobId"] != own and arrays < ARRAYS_MAX:
                arrays += 1
                yield from _of_children(other["jobId"])
        elif other["status"] == "SUCCEEDED":
            yield from _lasted(other)


def _of_children(array: str) -> Iterator[int]:
    answer = client("batch").list_jobs(
        arrayJobId=array, jobStatus="SUCCEEDED", maxResults=SAMPLES_MAX
    )
    for child in answer["jobSummaryList"]:
        yield from _lasted(child)


def _lasted(job: Job) -> Iterator[int]:
    if job.get("startedAt") is not None and job.get("stoppedAt") is not None:
        yield job["stoppedAt"] - job["startedAt"]


def _like(job: Job) -> Iterator[Job]:
    """Summaries of jobs like this one, the newest first."""
    definition = job["jobDefinition"].rpartition("/")[2].partition(":")[0]
    wanted = {"name": "JOB_DEFINITION", "values": [definition]}
    if definition == DEFINITION:
        wanted = {"name": "JOB_NAME", "values": [job["jobName"]]}
    pages = client("batch").get_paginator("list_jobs")
    found = pages.paginate(jobQueue=job["jobQueue"], filters=[wanted])
    for page in islice(found, PAGES_MAX):
        yield from page["jobSummaryList"]


def in_line(job: Job, took: Measured, ahead: int, at_once: int) -> str:
    """When a job that waits in line starts, if all that is before it takes as long as it does."""
    wait_ms = int((ahead + 1) * took.median_ms / at_once)
    others = "nothing" if not ahead else f"{ahead:,} job{'s' if ahead > 1 else ''}"
    told = f"with {others} before it and {at_once:,} at a time it starts in about {age(0, wait_ms)}"
    return f"{told}; {rest(size(job), at_once, took)}" if size(job) else told


def rest(children: int, at_once: int, took: Measured) -> str:
    """How long these children of an array take."""
    rounds = -(-children // at_once)
    return (
        f"its {children:,} children that are left take about "
        f"{age(0, int(rounds * took.median_ms))}, {at_once:,} at a time"
    )


def left(job: Job, took: Measured, now_ms: float) -> str:
    """How much longer a job runs."""
    rest_ms = int(job["startedAt"] + took.median_ms - now_ms)
    if rest_ms <= 0:
        return "it has run for longer already"
    return f"about {age(0, rest_ms)} are left"
