"""Why a job is where it is, in words for a person: AWS's fields put together.

AWS says that "Essential container in task exited" of a job that ended well and of one that did
not; what tells them apart stands in other fields.
"""

from __future__ import annotations

from typing import Any, Final

from tidemill.cli.output import age

ENDED: Final = ("SUCCEEDED", "FAILED")
GENERAL: Final = frozenset({"Essential container in task exited", "Array Child Job failed"})
"""Status reasons that say no more than the exit code or the counts do."""
START_FAILED: Final = "Task failed to start"
HOPELESS: Final = "MISCONFIGURATION:"

Job = dict[str, Any]


def explain(job: Job) -> str:
    """One sentence for a job as DescribeJobs gives it."""
    match job["status"]:
        case "SUCCEEDED":
            took = age(job.get("startedAt") or job["createdAt"], job.get("stoppedAt"))
            return f"all {size(job)} ended well, after {took}" if size(job) else f"took {took}"
        case "FAILED":
            return "; ".join(_failure(job)) or "it says no more"
        case "RUNNING":
            return f"it has run for {age(job.get('startedAt'))}"
        case status:
            reason = job.get("statusReason")
            return reason or ("it is about to start" if status == "STARTING" else "it was taken in")


def brief(job: Job) -> str:
    """The same in a few words, for a row of a table of ListJobs' summaries."""
    if job["status"] == "SUCCEEDED":
        return f"array of {size(job)}" if size(job) else ""
    if job["status"] == "FAILED":
        return "; ".join(_failure(job))
    reason = job.get("statusReason") or ""
    code, dash, rest = reason.partition(" - ")
    told = rest if dash and " " not in code else reason
    return f"{ended(job)} of {size(job)} ended; {told}".removesuffix("; ") if size(job) else told


def is_hopeless(job: Job) -> bool:
    """Whether the job can never run as things are set up."""
    return bool((job.get("statusReason") or "").startswith(HOPELESS))


def size(job: Job) -> int:
    """How many children an array has; 0 for a job that is none."""
    return int((job.get("arrayProperties") or {}).get("size", 0))


def ended(job: Job) -> int:
    """How many of an array's children have ended."""
    counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
    return sum(counts.get(status, 0) for status in ENDED)


def _failure(job: Job) -> list[str]:
    container = job.get("container") or {}
    reason = job.get("statusReason") or ""
    parts = []
    if size(job):
        counts = (job.get("arrayProperties") or {}).get("statusSummary") or {}
        parts.append(f"{counts.get('FAILED', 0)} of {size(job)} failed")
    if container.get("exitCode") is not None:
        parts.append(f"exit code {container['exitCode']}")
    if container.get("reason"):
        parts.append(str(container["reason"]))
    if reason and reason not in GENERAL and not (reason == START_FAILED and parts):
        parts.append(reason)
    return parts or [reason][: bool(reason)]
