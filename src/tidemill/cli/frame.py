"""One frame of `tidemill top`, as lines: queues, what runs, what waits for what, tenants.

Every block gets rows as far as the screen has them, shared out evenly; what is left out is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import click

from tidemill.cli.explain import brief, ended, size
from tidemill.cli.output import age, ids_shown, table
from tidemill.cli.survey import RUNNING, WAITING, Count, Share, states_of

NAME_MAX: Final = 20
Job = dict[str, Any]
Row = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table with its heading; `total` counts also the rows that are not given."""

    columns: Row
    rows: list[Row]
    total: int


def frame(heading: list[str], blocks: list[Block], width: int, height: int) -> list[str]:
    """The lines of the screen: the heading, then each block with as many rows as there is room."""
    shown = [block for block in blocks if block.rows]
    free = height - len(heading) - 2 * len(shown)
    granted = _share_out([len(block.rows) for block in shown], free)
    lines = list(heading)
    for block, rows in zip(shown, granted, strict=True):
        if not rows:
            continue
        cut = rows < block.total
        kept = block.rows[: rows - 1 if cut and rows > 1 else rows]
        lines += ["", *table(block.columns, kept, width)]
        if len(kept) < block.total:
            lines.append(f"... and {block.total - len(kept):,} more")
    return lines[:height]


def _share_out(wanted: list[int], free: int) -> list[int]:
    """Rows for each block: one each in turn, until all have enough or none are left."""
    granted = [0] * len(wanted)
    while free > 0 and granted != wanted:
        for place, want in enumerate(wanted):
            if granted[place] < want and free > 0:
                granted[place] += 1
                free -= 1
    return granted


def running_block(jobs: list[Job], notes: dict[str, str], width: int) -> Block:
    """What runs, the longest first; arrays with how far they are."""
    found = sorted((job for job in jobs if _runs(job)), key=_since_ms)
    ids = ids_shown([job["jobId"] for job in found], width)
    rows = [
        [
            shown,
            job["jobName"][:NAME_MAX],
            job["queue"],
            job.get("shareIdentifier") or "-",
            age(_since_ms(job)),
            _told(job, notes),
        ]
        for shown, job in zip(ids, found, strict=True)
    ]
    columns = ["RUNNING", "NAME", "QUEUE", "TENANT", "FOR", "PROGRESS"]
    return Block(columns=columns, rows=rows, total=len(rows))


def waiting_block(jobs: list[Job], width: int) -> Block:
    """What waits, and for what; the oldest first."""
    found = [job for job in jobs if job["status"] in WAITING and not _runs(job)]
    found.sort(key=lambda job: job["createdAt"])
    ids = ids_shown([job["jobId"] for job in found], width)
    rows = [
        [shown, job["jobName"][:NAME_MAX], job["queue"], age(job["createdAt"]), _for(job)]
        for shown, job in zip(ids, found, strict=True)
    ]
    columns = ["WAITING", "NAME", "QUEUE", "FOR", "BECAUSE"]
    return Block(columns=columns, rows=rows, total=len(rows))


def queue_block(queues: list[tuple[dict[str, Any], Count, float | None, int | None]]) -> Block:
    """A row for each queue: (as DescribeJobQueues tells it, counts, vCPUs in use, oldest)."""
    rows = [
        [
            queue["jobQueueName"],
            queue["state"],
            str(queue["priority"]),
            "-" if vcpus is None else f"{vcpus:g}",
            count.told(RUNNING),
            count.told(["RUNNABLE"]),
            count.told(["SUBMITTED", "PENDING"]),
            age(oldest_ms),
        ]
        for queue, count, vcpus, oldest_ms in queues
    ]
    columns = ["QUEUE", "STATE", "PRIO", "VCPUS", "RUNNING", "RUNNABLE", "PENDING", "OLDEST"]
    return Block(columns=columns, rows=rows, total=len(rows))


def tenant_block(shares: list[Share]) -> Block:
    """A row for each tenant that has anything under way, the one that runs most first."""
    found = [share for share in shares if share.count.of([*RUNNING, *WAITING])]
    found.sort(key=lambda share: (-share.count.of(RUNNING), share.identifier))
    rows = [
        [
            share.identifier,
            share.queue,
            f"{share.weight:g}",
            "-" if share.vcpus is None else f"{share.vcpus:g}",
            share.count.told(RUNNING),
            share.count.told(WAITING),
            age(share.oldest_ms),
        ]
        for share in found
    ]
    columns = ["TENANT", "QUEUE", "WEIGHT", "VCPUS", "RUNNING", "WAITING", "OLDEST"]
    return Block(columns=columns, rows=rows, total=len(rows))


def headline(text: str, right: str, width: int) -> str:
    """The first line: what it is on the left, how to leave on the right."""
    gap = max(1, width - len(text) - len(right))
    return click.style((text + " " * gap + right)[:width], bold=True)


def _runs(job: Job) -> bool:
    states = states_of(job)
    return any(states.get(status) for status in RUNNING)


def _since_ms(job: Job) -> int:
    return int(job.get("startedAt") or job["createdAt"])


def _told(job: Job, notes: dict[str, str]) -> str:
    note = notes.get(job["jobId"], "")
    if not size(job):
        return note or ("" if job["status"] == "RUNNING" else "about to start")
    states = states_of(job)
    failed = f", {states['FAILED']:,} failed" if states.get("FAILED") else ""
    running = sum(states.get(status, 0) for status in RUNNING)
    told = f"{ended(job):,} of {size(job):,} ended{failed}, {running:,} running"
    return f"{told}; {note}" if note else told


def _for(job: Job) -> str:
    told = brief(job)
    return told or "it is about to start"
