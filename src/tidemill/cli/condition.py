"""Every condition for the start of a job that waits, in the order in which they are looked at:
the jobs that it depends on, its queue, its turn, what it needs and what is free.

Turn and room are the server's to tell. AWS, and whoever may not ask the server itself, gets what
AWS's own calls say: the place in the queue, and what each environment can hold in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from tidemill.cli import survey
from tidemill.cli.administration import ask
from tidemill.cli.connection import client
from tidemill.cli.explain import explain
from tidemill.cli.job import find
from tidemill.cli.survey import Front

Job = dict[str, Any]
PAIRED: Final = "N_TO_N"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that has to hold before a job starts, whether it does, and the numbers."""

    name: str
    holds: bool
    detail: str

    def plain(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def conditions_of(job: Job, front: Front) -> list[Condition]:
    """The conditions of a job, as DescribeJobs gives it, that waits; `front` is its queue's."""
    queue = job["jobQueue"].rpartition("/")[2]
    paired = {each.get("jobId") for each in job.get("dependsOn", []) if each.get("type") == PAIRED}
    found = [_dependency(*each, is_paired=each[0] in paired) for each in awaited(job)]
    found += _of_queue(queue)
    answer = ask("conditions", {"jobId": job["jobId"]})
    if answer is None:
        return [*found, *_as_aws_tells(job, queue, front)]
    told = (Condition(**each) for each in answer["conditions"])
    return [*found, *(each for each in told if each.name != "dependency")]


def awaited(job: Job) -> list[tuple[str, Job | None]]:
    """The jobs that one depends on, by id, with what is known of them."""
    parent, colon, index = job["jobId"].partition(":")
    ids = []
    for each in job.get("dependsOn", []):
        wanted = each.get("jobId")
        if each.get("type") == "SEQUENTIAL":
            if colon and index != "0":
                ids.append(f"{parent}:{int(index) - 1}")
        elif wanted:
            ids.append(f"{wanted}:{index}" if each.get("type") == PAIRED and colon else wanted)
    known = find(ids) if ids else {}
    return [(each, known.get(each)) for each in ids]


def _dependency(job_id: str, job: Job | None, *, is_paired: bool) -> Condition:
    if job is None:
        return Condition("dependency", False, f"{job_id}, which is not kept any more")
    what = f"{job_id} ({job['jobName']}) must succeed"
    if is_paired:
        what = f"of {job_id} ({job['jobName']}) the child of the same index must succeed"
    detail = f"{what}: {job['status']}, {explain(job)}"
    return Condition("dependency", job["status"] == "SUCCEEDED", detail)


def _of_queue(name: str) -> Iterator[Condition]:
    """The queue's own state, and which queues go before it to the same environments."""
    everyone = survey.queues()
    own = next((each for each in everyone if each["jobQueueName"] == name), None)
    if own is None:
        yield Condition("queue", False, f"`{name}` is not there any more")
        return
    places = set(survey.environments_of(own))
    before = [
        f"`{each['jobQueueName']}` ({each['priority']})"
        for each in everyone
        if each["priority"] > own["priority"] and places & set(survey.environments_of(each))
    ]
    detail = f"`{name}` is {own['state']}, of priority {own['priority']}"
    if before:
        detail += f"; {', '.join(before)} {'goes' if len(before) == 1 else 'go'} before it"
    # A disabled queue takes no jobs; those that it has still run.
    yield Condition("queue", own["status"] == "VALID", detail)


def _as_aws_tells(job: Job, queue: str, front: Front) -> Iterator[Condition]:
    if job["status"] != "RUNNABLE":
        return
    place = place_in(front, job["jobId"])
    beyond = f"it is beyond the first {len(front.next_ids)} of `{queue}`"
    detail = beyond if place is None else f"{place} before it in `{queue}`"
    yield Condition("turn", place == 0, "it is first" if place == 0 else detail)
    own = survey.queues(queue)
    yield from _rooms(survey.environments_of(own[0]) if own else [], _needs(job))


def _rooms(names: list[str], needs: str) -> Iterator[Condition]:
    if not names:
        return
    answer = client("batch").describe_compute_environments(computeEnvironments=names)
    for each in answer["computeEnvironments"]:
        name, limit = each["computeEnvironmentName"], each.get("computeResources", {})
        is_open = each["state"] == "ENABLED" and each.get("status") == "VALID"
        detail = f"needs {needs}; `{name}` is {each['state']} and {each.get('status')}"
        if "maxvCpus" in limit:
            detail += f", with {limit['maxvCpus']} vCPU at most"
        yield Condition(f"environment {name}", is_open, detail)


def _needs(job: Job) -> str:
    units = {"VCPU": "vCPU", "MEMORY": "MiB", "GPU": "GPU"}
    needs = (job.get("container") or {}).get("resourceRequirements", [])
    return ", ".join(f"{each['value']} {units.get(each['type'], each['type'])}" for each in needs)


def place_in(front: Front, job_id: str) -> int | None:
    """How many of a queue's next jobs are before a job, or before the first child of an array.

    None when it is not among those that the snapshot lists.
    """
    for place, each in enumerate(front.next_ids):
        if each == job_id or each.partition(":")[0] == job_id:
            return place
    return None
