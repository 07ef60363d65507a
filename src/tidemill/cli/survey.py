"""What goes on in the queues, as AWS's own calls tell it: how many jobs there are in which state,
whose they are, since when the first waits.

ListJobs tells an array by its parent, which counts its children; here only what runs by itself is
counted, so an array of a thousand is a thousand. A listing is read up to a number of pages; where
there is more, counts are lower bounds and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.cli.connection import client
from tidemill.cli.job import ACTIVE

PAGE: Final = 1000
PAGES_MAX: Final = 20
RUNNING: Final = ("STARTING", "RUNNING")
WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
Summary = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """The jobs of one queue in one state, the newest first; `has_more` says that these aren't
    all of them."""

    jobs: list[Summary] = field(default_factory=list)
    has_more: bool = False


@dataclass(slots=True)
class Count:
    """How many jobs there are in each state; `is_exact` False says that there are more."""

    states: Counter[str] = field(default_factory=Counter)
    is_exact: bool = True

    def add(self, listing: Listing) -> None:
        """Count a listing's jobs, and the children of its arrays."""
        for job in listing.jobs:
            self.states.update(states_of(job))
        self.is_exact = self.is_exact and not listing.has_more

    def of(self, statuses: Iterable[str]) -> int:
        """How many are in one of these states."""
        return sum(self.states[status] for status in statuses)

    def told(self, statuses: Iterable[str]) -> str:
        """The same for a person."""
        return f"{self.of(statuses):,}" + ("" if self.is_exact else "+")


def states_of(job: Summary) -> dict[str, int]:
    """How many jobs in which state a summary stands for: one, or an array's children."""
    array = job.get("arrayProperties") or {}
    if "size" not in array:
        return {job["status"]: 1}
    counts = dict(array.get("statusSummary") or {})
    return counts if any(counts.values()) else {job["status"]: int(array["size"])}


def queues(name: str | None = None) -> list[dict[str, Any]]:
    """The queues as DescribeJobQueues tells them, the highest priority first.

    `name` asks for that one alone, which may be none.
    """
    chosen = {"jobQueues": [name]} if name else {}
    pages = client("batch").get_paginator("describe_job_queues").paginate(**chosen)
    found = [queue for page in pages for queue in page["jobQueues"]]
    return sorted(found, key=lambda queue: (-queue["priority"], queue["jobQueueName"]))


def environments_of(queue: dict[str, Any]) -> list[str]:
    """The names of a queue's compute environments, in its order."""
    order = sorted(queue.get("computeEnvironmentOrder", []), key=lambda each: each["order"])
    return [each["computeEnvironment"].rpartition("/")[2] for each in order]


def listing(queue: str, status: str, pages_max: int = PAGES_MAX, page: int = PAGE) -> Listing:
    """The jobs of a queue in a state, up to so many pages of them."""
    jobs: list[Summary] = []
    token: dict[str, str] = {}
    for _ in range(pages_max):
        answer = client("batch").list_jobs(
            jobQueue=queue, jobStatus=status, maxResults=page, **token
        )
        jobs += [{**job, "queue": queue} for job in answer["jobSummaryList"]]
        if not answer.get("nextToken"):
            return Listing(jobs)
        token = {"nextToken": answer["nextToken"]}
    return Listing(jobs, has_more=True)


def active(queue: str) -> Iterator[Listing]:
    """All that is under way in a queue, state by state."""
    for status in ACTIVE:
        yield listing(queue, status)


@dataclass(frozen=True, slots=True)
class Front:
    """A queue's snapshot: what is next, since when the oldest of that waits, what is in use.

    `vcpus` and `shares` (vCPUs in use by share) are None where the service does not say.
    """

    next_ids: list[str]
    oldest_ms: int | None
    vcpus: float | None
    shares: dict[str, float] | None


def front(queue: str) -> Front:
    """The snapshot of a queue now."""
    answer = client("batch").get_job_queue_snapshot(jobQueue=queue)
    jobs = (answer.get("frontOfQueue") or {}).get("jobs", [])
    use = answer.get("queueUtilization")
    fair = (use or {}).get("fairshareUtilization")
    shares = None
    if fair is not None:
        top = fair.get("topCapacityUtilization", [])
        shares = {each["shareIdentifier"]: _quantity(each["capacityUsage"]) for each in top}
    return Front(
        next_ids=[job["jobArn"].rpartition("/")[2] for job in jobs],
        oldest_ms=min((job["earliestTimeAtPosition"] for job in jobs), default=None),
        vcpus=None if use is None else _quantity(use.get("totalCapacityUsage", [])),
        shares=shares,
    )


def _quantity(usage: list[dict[str, Any]]) -> float:
    return float(sum(each["quantity"] for each in usage))


@dataclass(slots=True)
class Share:
    """A tenant in one queue: its jobs, its weight factor (lower gets more), the vCPUs it uses.

    `oldest_ms` is when the oldest of its jobs that are RUNNABLE was submitted.
    """

    identifier: str
    queue: str
    weight: float
    count: Count = field(default_factory=Count)
    vcpus: float | None = None
    oldest_ms: int | None = None


def shares(
    queue: str, policy: dict[str, Any], listings: Iterable[Listing], use: Front | None
) -> list[Share]:
    """The tenants of a fair-share queue: those with jobs, and those that its policy names."""
    found: dict[str, Share] = {}
    has_more = False

    def share(identifier: str) -> Share:
        made = Share(identifier, queue, weight_of(policy, identifier))
        return found.setdefault(identifier, made)

    for rule in policy.get("shareDistribution", []):
        if not rule["shareIdentifier"].endswith("*"):
            share(rule["shareIdentifier"])
    for each in listings:
        has_more = has_more or each.has_more
        for job in each.jobs:
            whose = share(job.get("shareIdentifier", ""))
            states = states_of(job)
            whose.count.states.update(states)
            if states.get("RUNNABLE"):
                known = whose.oldest_ms
                whose.oldest_ms = (
                    job["createdAt"] if known is None else min(known, job["createdAt"])
                )
    used = None if use is None else use.shares
    for identifier, whose in found.items():
        whose.count.is_exact = not has_more
        whose.vcpus = None if used is None else used.get(identifier, 0.0)
    return list(found.values())


def weight_of(policy: dict[str, Any], identifier: str) -> float:
    """A share's weight factor: its own, that of its longest prefix, else 1."""
    rules = {r["shareIdentifier"]: r.get("weightFactor", 1.0) for r in policy["shareDistribution"]}
    if identifier in rules:
        return float(rules[identifier])
    fitting = (n for n in rules if n.endswith("*") and identifier.startswith(n[:-1]))
    return float(rules[best]) if (best := max(fitting, key=len, default="")) else 1.0


def policies(arns: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The fair-share policies behind these ARNs."""
    wanted = sorted(set(arns))
    if not wanted:
        return {}
    answer = client("batch").describe_scheduling_policies(arns=wanted)["schedulingPolicies"]
    return {
        each["arn"]: {"shareDistribution": [], **(each.get("fairsharePolicy") or {})}
        for each in answer
    }
