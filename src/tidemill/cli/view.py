"""`tidemill ps`, `show` and `why`: what there is, what it is, what it waits for."""

from __future__ import annotations

import itertools
from typing import Any

import click

from tidemill.cli.job import ACTIVE, ENDED, describe, listed
from tidemill.cli.output import JSON_OPTION, age, moment, print_json, print_table

LISTED_MAX = 200


@click.command()
@click.option("--all", "everything", is_flag=True, help="Ended jobs too.")
@click.option("--queue", help="This queue only.")
@JSON_OPTION
def ps(everything: bool, queue: str | None, as_json: bool) -> None:
    """List the jobs that are under way, or with --all those that have ended too."""
    statuses = ACTIVE + ENDED if everything else ACTIVE
    found = list(itertools.islice(listed(statuses, queue), LISTED_MAX + 1))
    jobs = sorted(found[:LISTED_MAX], key=lambda job: -job["createdAt"])
    if as_json:
        print_json(jobs)
        return
    rows = [
        [
            job["jobId"],
            job["jobName"],
            job["queue"],
            job["status"],
            age(job["createdAt"], job.get("stoppedAt")),
            _brief(job),
        ]
        for job in jobs
    ]
    hint = "" if everything else "; `tidemill ps --all` lists ended ones too"
    print_table(["ID", "NAME", "QUEUE", "STATUS", "AGE", "WHY"], rows, f"No jobs{hint}.")
    if len(found) > LISTED_MAX:
        click.echo(f"Only the first {LISTED_MAX} are shown; narrow it with --queue.", err=True)


def _brief(job: dict[str, Any]) -> str:
    size = (job.get("arrayProperties") or {}).get("size")
    reason = str(job.get("statusReason") or "")
    return f"array of {size}. {reason}".strip() if size else reason


@click.command()
@click.argument("job_id", metavar="ID")
@JSON_OPTION
def show(job_id: str, as_json: bool) -> None:
    """Show one job whole: what it runs, how far it is, every attempt."""
    [job] = describe([job_id])
    if as_json:
        print_json(job)
        return
    for label, value in _facts(job):
        click.echo(f"{label:<12} {value}")
    for number, attempt in enumerate(job.get("attempts", []), 1):
        click.echo(f"{'attempt ' + str(number):<12} {_attempt(attempt)}")


def _facts(job: dict[str, Any]) -> list[tuple[str, str]]:
    container = job.get("container") or {}
    array = job.get("arrayProperties") or {}
    facts = [
        ("id", job["jobId"]),
        ("name", job["jobName"]),
        ("status", job["status"]),
        ("why", job.get("statusReason", "")),
        ("queue", job["jobQueue"].rpartition("/")[2]),
        ("definition", job["jobDefinition"].rpartition("/")[2]),
        ("command", " ".join(container.get("command", []))),
        ("children", _children(array)),
        ("after", ", ".join(d.get("jobId", "itself") for d in job.get("dependsOn", []))),
        ("created", moment(job.get("createdAt"))),
        ("started", moment(job.get("startedAt"))),
        ("ended", moment(job.get("stoppedAt"))),
        ("took", age(job.get("startedAt"), job.get("stoppedAt"))),
        ("exit code", str(container.get("exitCode", ""))),
        ("log", container.get("logStreamName", "")),
    ]
    return [(label, value) for label, value in facts if value and value != "-"]


def _children(array: dict[str, Any]) -> str:
    if "size" not in array:
        return f"index {array['index']}" if "index" in array else ""
    counts = (array.get("statusSummary") or {}).items()
    told = ", ".join(f"{count} {status}" for status, count in counts if count)
    return f"{array['size']}" + (f": {told}" if told else "")


def _attempt(attempt: dict[str, Any]) -> str:
    container = attempt.get("container") or {}
    parts = [
        moment(attempt.get("startedAt")),
        f"took {age(attempt.get('startedAt'), attempt.get('stoppedAt'))}",
    ]
    if "exitCode" in container:
        parts.append(f"exit code {container['exitCode']}")
    parts.extend(filter(None, [container.get("reason"), attempt.get("statusReason")]))
    return ", ".join(parts)


@click.command()
@click.argument("job_id", metavar="ID")
@JSON_OPTION
def why(job_id: str, as_json: bool) -> None:
    """Say in one sentence, with numbers, what a job waits for or why it ended as it did."""
    [job] = describe([job_id])
    if as_json:
        print_json({name: job.get(name) for name in ("jobId", "status", "statusReason")})
        return
    click.echo(f"{job['status']}: {job.get('statusReason') or _without_reason(job)}")


def _without_reason(job: dict[str, Any]) -> str:
    if job["status"] == "RUNNING":
        return f"it runs since {moment(job.get('startedAt'))}"
    if job["status"] == "SUCCEEDED":
        return f"it ended well, after {age(job.get('startedAt'), job.get('stoppedAt'))}"
    return "nothing is known of why"
