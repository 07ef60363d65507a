"""GetJobQueueSnapshot: the first hundred jobs of a queue in the order of their turns, and what
runs of it uses."""

from __future__ import annotations

from typing import Any, Final

from tidemill.platform.clock import Now
from tidemill.platform.store import Store
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.description import SQL
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import Kind
from tidemill.services.batch.scheduling.spec import QueueUse

FRONT_MAX: Final = 100
SHARES_MAX: Final = 20


async def snapshot(database: Store, core: BatchCore, queue: str, now: Now) -> dict[str, Any]:
    """The answer of GetJobQueueSnapshot for the queue of that plain name.

    When a job came to its place isn't kept: `earliestTimeAtPosition` is when it was submitted,
    which is the earliest that it can have been.
    """
    front = core.scheduler.front(queue, now, FRONT_MAX)
    created: dict[str, int] = {}
    for job_id in {job_id for job_id, _ in front}:
        rows = await database.fetch(SQL["select_created"], (job_id,))
        created[job_id] = rows[0][0] if rows else now.wall_ms
    names = core.registry.names
    jobs = [
        {
            "jobArn": names.arn(Kind.JOB, str(JobId(job_id, index=index))),
            "earliestTimeAtPosition": created[job_id],
        }
        for job_id, index in front
    ]
    return {
        "frontOfQueue": {"jobs": jobs, "lastUpdatedAt": now.wall_ms},
        "queueUtilization": _utilization(core.scheduler.queue_use(queue), now),
    }


def _utilization(use: QueueUse, now: Now) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "totalCapacityUsage": _capacity(use.cpu_milli),
        "lastUpdatedAt": now.wall_ms,
    }
    if use.shares is not None:
        shown["fairshareUtilization"] = {
            "activeShareCount": len(use.shares),
            "topCapacityUtilization": [
                {"shareIdentifier": share, "capacityUsage": _capacity(cpu_milli)}
                for share, cpu_milli in use.shares[:SHARES_MAX]
            ],
        }
    return shown


def _capacity(cpu_milli: int) -> list[dict[str, Any]]:
    return [{"capacityUnit": "VCPU", "quantity": cpu_milli / 1000}]
