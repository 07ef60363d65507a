"""Batch's entries in the events feed as EventBridge has them, made when a subscriber wants them.

A subscriber hands in each `FeedEvent` whose source is `event.SOURCE`; what it gets are AWS's
events without what is its own to add: version, id, account and region (AWS Batch user guide,
"AWS Batch events").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from tidemill.platform.feed import FeedEvent
from tidemill.services.batch import event
from tidemill.services.batch.description import describe
from tidemill.services.batch.detail import Detail
from tidemill.services.batch.event import Step
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import Kind
from tidemill.services.batch.run import Runtime
from tidemill.services.batch.state import State

Announcement = dict[str, Any]
"""`source`, `detail-type`, `time`, `resources` and `detail`."""

_STEPS_AT_ONCE: Final = 100


async def announcements(runtime: Runtime, entry: FeedEvent) -> AsyncIterator[Announcement]:
    """The events that an entry stands for, each job's own in order.

    AWS makes none of a job's submission. Of jobs that are kept no more, only what the entry
    itself says is told.
    """
    body = entry.event.body
    if entry.event.kind == event.QUEUE_BLOCKED:
        job_id, queue = event.blocking_job(body)
        details = await _details(runtime, [job_id])
        detail = event.queue_blocked_detail(body, details[job_id])
        arn = runtime.registry.names.arn(Kind.QUEUE, queue)
        yield _announcement(entry, [detail["jobArn"], arn], detail)
        return
    told = (step for step in event.steps(body) if step.state is not State.SUBMITTED)
    while some := list(islice(told, _STEPS_AT_ONCE)):
        details = await _details(runtime, _ids(some))
        for step in some:
            detail = event.state_change_detail(step, details[step.job_id])
            yield _announcement(entry, [detail["jobArn"]], detail)


def _ids(steps: Iterable[Step]) -> list[str]:
    return list(dict.fromkeys(step.job_id for step in steps))


async def _details(runtime: Runtime, job_ids: Iterable[str]) -> dict[str, Detail]:
    names = runtime.registry.names
    found: dict[str, Detail] = {
        job_id: {"jobArn": names.arn(Kind.JOB, job_id), "jobId": job_id} for job_id in job_ids
    }
    ids = (JobId.parse(job_id) for job_id in found)
    for detail in await describe(runtime, [each for each in ids if each is not None]):
        found[detail["jobId"]] = detail
    return found


def _announcement(entry: FeedEvent, resources: list[str], detail: Detail) -> Announcement:
    at = datetime.fromtimestamp(entry.wall_ms / 1000, UTC)
    return {
        "source": f"aws.{entry.event.source}",
        "detail-type": event.DETAIL_TYPES[entry.event.kind],
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "resources": resources,
        "detail": detail,
    }
