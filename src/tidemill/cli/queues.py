"""`tidemill queues` and `tenants`: who waits where, for how long, and what each has in use."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli import survey
from tidemill.cli.argument import QUEUE_OPTION, TENANT_OPTION
from tidemill.cli.output import JSON_OPTION, age, print_json, print_table
from tidemill.cli.survey import RUNNING, WAITING, Count, Front, Share


@click.command()
@QUEUE_OPTION
@JSON_OPTION
def queues(queue: str | None, as_json: bool) -> None:
    """List the queues: how many jobs run in each and how many wait, and since when.

    RUNNABLE jobs wait for room or their turn, PENDING ones for other jobs. An array counts as its
    children. In a queue whose ORDER is fair, tenants share. OLDEST is how long ago the oldest of
    the RUNNABLE jobs next in line was submitted.
    """
    found = [_Sight(each) for each in chosen(queue)]
    if as_json:
        print_json([sight.facts() for sight in found])
        return
    columns = ["QUEUE", "STATE", "PRIO", "ORDER"]
    columns += ["RUNNING", "RUNNABLE", "PENDING", "OLDEST", "ENVIRONMENTS"]
    print_table(columns, [sight.row() for sight in found], "There is no queue.")


def chosen(name: str | None) -> list[dict[str, Any]]:
    """The queue of that name, or all; a name that there is not is refused."""
    found = survey.queues(name)
    if name and not found:
        raise click.ClickException(
            f"There is no queue {name!r}; `tidemill queues` lists those there are."
        )
    return found


class _Sight:
    """A queue with what goes on in it."""

    def __init__(self, queue: dict[str, Any]) -> None:
        self.queue = queue
        self.name = queue["jobQueueName"]
        self.count = Count()
        for listing in survey.active(self.name):
            self.count.add(listing)
        self.front: Front = survey.front(self.name)

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "queue": self.name,
            "state": self.queue["state"],
            "priority": self.queue["priority"],
            "environments": survey.environments_of(self.queue),
            "schedulingPolicyArn": self.queue.get("schedulingPolicyArn"),
            "jobs": {status: self.count.of([status]) for status in (*WAITING, *RUNNING)},
            "isExact": self.count.is_exact,
            "vcpusInUse": self.front.vcpus,
            "oldestRunnableSubmittedAt": self.front.oldest_ms,
        }

    def row(self) -> list[str]:
        """For people."""
        status = self.queue["status"]
        return [
            self.name,
            self.queue["state"] if status == "VALID" else status,
            str(self.queue["priority"]),
            "fair" if self.queue.get("schedulingPolicyArn") else "fifo",
            self.count.told(RUNNING),
            self.count.told(["RUNNABLE"]),
            self.count.told(["SUBMITTED", "PENDING"]),
            age(self.front.oldest_ms),
            ", ".join(survey.environments_of(self.queue)),
        ]


@click.command()
@QUEUE_OPTION
@TENANT_OPTION
@JSON_OPTION
def tenants(queue: str | None, tenant: str | None, as_json: bool) -> None:
    """List the tenants that share queues: their jobs, weights, and vCPUs in use.

    A tenant is the share identifier of a job (`tidemill submit --tenant acme`) in a queue that has
    a fair-share policy. The lower its WEIGHT, the more a tenant gets. OLDEST is how long ago the
    oldest of its RUNNABLE jobs was submitted.
    """
    fair = [each for each in chosen(queue) if each.get("schedulingPolicyArn")]
    if not fair:
        which = f"The queue {queue} is not" if queue else "No queue is"
        raise click.ClickException(
            f"{which} shared by tenants: it has no scheduling policy; `tidemill tenants` without "
            f"--queue looks at all, and CreateJobQueue with schedulingPolicyArn makes one."
        )
    policies = survey.policies(each["schedulingPolicyArn"] for each in fair)
    found = [share for each in fair for share in _shares(each, policies)]
    found = [share for share in found if tenant in (None, share.identifier)]
    found.sort(key=lambda each: (each.queue, -each.count.of(RUNNING), each.identifier))
    if as_json:
        print_json([_facts(share) for share in found])
        return
    columns = ["TENANT", "QUEUE", "WEIGHT", "VCPUS", "RUNNING", "RUNNABLE", "PENDING", "OLDEST"]
    print_table(columns, [_row(share) for share in found], "No tenant has a job under way.")


def _shares(queue: dict[str, Any], policies: dict[str, dict[str, Any]]) -> list[Share]:
    name = queue["jobQueueName"]
    policy = policies.get(queue["schedulingPolicyArn"], {"shareDistribution": []})
    return survey.shares(name, policy, survey.active(name), survey.front(name))


def _facts(share: Share) -> dict[str, Any]:
    return {
        "tenant": share.identifier,
        "queue": share.queue,
        "weightFactor": share.weight,
        "vcpusInUse": share.vcpus,
        "jobs": {status: share.count.of([status]) for status in (*WAITING, *RUNNING)},
        "isExact": share.count.is_exact,
        "oldestRunnableSubmittedAt": share.oldest_ms,
    }


def _row(share: Share) -> list[str]:
    return [
        share.identifier,
        share.queue,
        f"{share.weight:g}",
        "-" if share.vcpus is None else f"{share.vcpus:g}",
        share.count.told(RUNNING),
        share.count.told(["RUNNABLE"]),
        share.count.told(["SUBMITTED", "PENDING"]),
        age(share.oldest_ms),
    ]
