"""`tidemill ps` and `show`: what there is, and what it is."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

import click

from tidemill.cli.argument import JOB_ID, QUEUE_OPTION, TENANT_OPTION
from tidemill.cli.explain import brief, explain
from tidemill.cli.job import ACTIVE, describe, listed, newest
from tidemill.cli.output import (
    JSON_OPTION,
    age,
    coloured,
    ids_shown,
    moment,
    print_json,
    print_table,
    terminal_width,
)
from tidemill.cli.progress import note, notes

LISTED_MAX = 200


@click.command()
@click.option("--all", "everything", is_flag=True, help="Ended jobs too, the newest first.")
@QUEUE_OPTION
@TENANT_OPTION
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    default=LISTED_MAX,
    show_default=True,
    help="No more jobs than these.",
)
@JSON_OPTION
def ps(everything: bool, queue: str | None, tenant: str | None, limit: int, as_json: bool) -> None:
    """List the jobs that are under way, or with --all those that have ended too.

    The last column says why one waits or why it failed, and how far those are that run and say so
    (`tm.progress`).
    """
    jobs = newest(queue) if everything else listed(ACTIVE, queue)
    wanted = (job for job in jobs if tenant in (None, job.get("shareIdentifier")))
    found = list(itertools.islice(wanted, limit + 1))
    shown = sorted(found[:limit], key=lambda job: -job["createdAt"])
    running = [job["jobId"] for job in shown if job["status"] in ("RUNNING", "PENDING")]
    said = notes(running)
    if as_json:
        print_json([{**job, **_told(said.get(job["jobId"]))} for job in shown])
    else:
        hint = "" if everything else "; `tidemill ps --all` lists those that ended too"
        columns, rows = _table(shown, said)
        print_table(columns, rows, f"No jobs{hint}.")
    if len(found) > limit:
        click.echo(f"There are more than these {limit}; --limit shows more of them.", err=True)


def _told(progress: str | None) -> dict[str, str]:
    return {"progress": progress} if progress else {}


def _table(jobs: list[dict[str, Any]], said: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    ids = ids_shown([job["jobId"] for job in jobs], terminal_width())
    rows = [
        [
            shown,
            job["jobName"],
            job["queue"],
            job["status"],
            age(job["createdAt"], job.get("stoppedAt")),
            "; ".join(filter(None, [said.get(job["jobId"]), brief(job)])),
        ]
        for shown, job in zip(ids, jobs, strict=True)
    ]
    return ["ID", "NAME", "QUEUE", "STATUS", "AGE", "WHY"], rows


@click.command()
@JOB_ID
@JSON_OPTION
def show(job_id: str, as_json: bool) -> None:
    """Show one job whole: what it runs, how far it is, every attempt."""
    [job] = describe([job_id])
    if as_json:
        print_json({**job, **_told(note(job))})
        return
    for label, value in _facts(job):
        click.echo(f"{label:<12} {value}")
    for number, attempt in enumerate(job.get("attempts", []), 1):
        click.echo(f"{'attempt ' + str(number):<12} {_attempt(attempt)}")


def _facts(job: dict[str, Any]) -> list[tuple[str, str]]:
    container = job.get("container") or {}
    facts = [
        ("id", job["jobId"]),
        ("name", job["jobName"]),
        ("status", coloured(job["status"])),
        ("why", explain(job)),
        ("progress", note(job)),
        ("queue", job["jobQueue"].rpartition("/")[2]),
        ("tenant", job.get("shareIdentifier", "")),
        ("tags", ", ".join(f"{k}={v}" for k, v in sorted((job.get("tags") or {}).items()))),
        ("definition", job["jobDefinition"].rpartition("/")[2]),
        ("command", shlex.join(container.get("command", []))),
        ("needs", _needs(container)),
        ("children", _children(job.get("arrayProperties") or {})),
        ("after", ", ".join(d.get("jobId", "itself") for d in job.get("dependsOn", []))),
        ("created", moment(job.get("createdAt"))),
        ("started", moment(job.get("startedAt"))),
        ("ended", moment(job.get("stoppedAt"))),
        ("exit code", str(container.get("exitCode", ""))),
        ("log", container.get("logStreamName", "")),
    ]
    return [(label, value) for label, value in facts if value and value != "-"]


def _needs(container: dict[str, Any]) -> str:
    units = {"VCPU": "vCPU", "MEMORY": "MiB", "GPU": "GPU"}
    needs = container.get("resourceRequirements", [])
    return ", ".join(f"{need['value']} {units.get(need['type'], need['type'])}" for need in needs)


def _children(array: dict[str, Any]) -> str:
    if "size" not in array:
        return f"index {array['index']}" if "index" in array else ""
    counts = (array.get("statusSummary") or {}).items()
    told = ", ".join(f"{count} {status}" for status, count in counts if count)
    return f"{array['size']}" + (f": {told}" if told else "")


def _attempt(attempt: dict[str, Any]) -> str:
    container = attempt.get("container") or {}
    parts = []
    if attempt.get("startedAt"):
        parts.append(moment(attempt["startedAt"]))
        parts.append(f"took {age(attempt['startedAt'], attempt.get('stoppedAt'))}")
    if "exitCode" in container:
        parts.append(f"exit code {container['exitCode']}")
    parts.extend(filter(None, [container.get("reason"), attempt.get("statusReason")]))
    return ", ".join(parts)
