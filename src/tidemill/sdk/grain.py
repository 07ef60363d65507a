"""How many items a child of a map takes when `chunk="auto"`: some seconds' worth of work.

The time of an item is measured: by the children of the function's latest map that came to an end,
as the service's records tell. Where there is none yet, a few children for each vCPU.
"""

from __future__ import annotations

from typing import Any, Final

from tidemill.sdk.client import Connection
from tidemill.sdk.lookup import MAP

AIM_S: Final = 10.0
CHILDREN_PER_VCPU: Final = 4
_LOOKED_AT: Final = 20
"""How many of the function's latest jobs are looked through for a map."""
_SAMPLE: Final = 100
_VCPUS_UNKNOWN: Final = 4


def chunk_for(connection: Connection, queue: str, definition: str, items: int) -> int:
    """Items to a child for a map of so many, of the function of this job definition's name."""
    spread = -(-items // (CHILDREN_PER_VCPU * _vcpus(connection, queue)))
    item_s = _measured_s(connection, queue, definition)
    if item_s is None:
        return max(1, spread)
    return max(1, min(spread, int(AIM_S / item_s) if item_s else spread))


def _measured_s(connection: Connection, queue: str, definition: str) -> float | None:
    """Seconds that one item took; None where nothing was measured."""
    batch = connection.client("batch")
    found = batch.list_jobs(
        jobQueue=queue,
        filters=[{"name": "JOB_DEFINITION", "values": [definition]}],
        maxResults=_LOOKED_AT,
    )["jobSummaryList"]
    if not found:
        return None
    details = batch.describe_jobs(jobs=[each["jobId"] for each in found])["jobs"]
    for detail in sorted(details, key=lambda each: -int(each["createdAt"])):
        took = _of_one(batch, detail)
        if took is not None:
            return took
    return None


def _of_one(batch: Any, detail: dict[str, Any]) -> float | None:
    text = (detail.get("parameters") or {}).get(MAP)
    if text is None:
        return None
    items, chunk = map(int, text.split("/"))
    if not detail.get("arrayProperties"):
        took = _took_s(detail) if detail["status"] == "SUCCEEDED" else None
        return None if took is None else took / items
    children = batch.list_jobs(
        arrayJobId=detail["jobId"], jobStatus="SUCCEEDED", maxResults=_SAMPLE
    )["jobSummaryList"]
    times = [took for each in children if (took := _took_s(each)) is not None]
    from statistics import median

    return median(times) / chunk if times else None


def _took_s(told: dict[str, Any]) -> float | None:
    if "startedAt" not in told or "stoppedAt" not in told:
        return None
    return float(told["stoppedAt"] - told["startedAt"]) / 1000


def _vcpus(connection: Connection, queue: str) -> int:
    """How many vCPUs the queue's environments have in all."""
    batch = connection.client("batch")
    queues = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    names = [
        place["computeEnvironment"] for each in queues for place in each["computeEnvironmentOrder"]
    ]
    if not names:
        return _VCPUS_UNKNOWN
    found = batch.describe_compute_environments(computeEnvironments=names)["computeEnvironments"]
    total = sum(int(each.get("computeResources", {}).get("maxvCpus", 0)) for each in found)
    return total or _VCPUS_UNKNOWN
