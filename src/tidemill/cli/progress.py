"""What jobs of the library say of how far they are (`tm.progress`), in a few words.

A report lies in S3 beside the job's results; where those are is in the job's own parameters.
"""

from __future__ import annotations

from typing import Any, Final

from tidemill.cli.explain import ENDED, size
from tidemill.cli.job import DESCRIBE_MAX, find
from tidemill.sdk import index_set
from tidemill.sdk.client import current
from tidemill.sdk.definition import RESULTS

WORDS_MAX: Final = 60
CHILDREN_MAX: Final = 100
"""Of a larger array nobody is asked: each child that speaks is an object to read."""
Job = dict[str, Any]


def notes(job_ids: list[str]) -> dict[str, str]:
    """A few words for each of these jobs that has said anything; 100 jobs are asked about."""
    found = find(job_ids[:DESCRIBE_MAX]) if job_ids else {}
    told = {job_id: note(job) for job_id, job in found.items()}
    return {job_id: words for job_id, words in told.items() if words}


def note(job: Job) -> str:
    """What a job, as DescribeJobs gives it, last said of its progress; empty when it said nothing.

    Of an array, what the child said that spoke last.
    """
    from tidemill.sdk import report

    url, index = _place(job)
    if not url or job["status"] in ENDED or size(job) > CHILDREN_MAX:
        return ""
    reports = report.read(current(), url, None if size(job) else index)
    if not reports:
        return ""
    place, latest = max(reports.items(), key=lambda each: each[1].at_ms)
    words = _words(latest.done, latest.total, latest.note)
    return f"{place}: {words}" if size(job) else words


def _place(job: Job) -> tuple[str, int]:
    """The run's URL and the job's index in it, from the parameters that the library gives it."""
    results = str((job.get("parameters") or {}).get(RESULTS, ""))
    url, _, children = results.partition("#")
    if not url.startswith("s3://") or not url.endswith("/results/"):
        return "", 0
    own = int((job.get("arrayProperties") or {}).get("index", 0))
    named, _, generation = children.partition("@")  # as `tidemill.sdk.worker` reads it
    index = index_set.parse(named)[own] if generation else int(named or 0) + own
    return url.removesuffix("results/"), index


def _words(done: float, total: float | None, note: str) -> str:
    if total:
        told = f"{100 * done / total:.0f}% ({done:g} of {total:g})"
    else:
        told = f"{done:g} done"
    return f"{told}, {note}"[:WORDS_MAX] if note else told
