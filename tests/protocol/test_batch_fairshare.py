"""Fair share: weights, decay, priorities within a share, and the reserve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient, wait_for
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def fair_queue(batch: BatchClient, vcpus: int = 1, **rule: Any) -> str:
    arn = batch.client.create_scheduling_policy(name=batch.name(), fairsharePolicy=rule)["arn"]
    return batch.queue(vcpus=vcpus, schedulingPolicyArn=arn)


def test_places_that_come_free_at_once_are_shared_by_weight(batch: BatchClient) -> None:
    """A factor of a half is worth twice the places, by name or by prefix."""
    rules = [
        {"shareIdentifier": "team*", "weightFactor": 1},
        {"shareIdentifier": "crew*", "weightFactor": 0.5},
        {"shareIdentifier": "lead", "weightFactor": 0.25},
    ]
    queue = fair_queue(batch, vcpus=14, shareDistribution=rules)
    blocker = batch.submit(
        queue, batch.define("sh", "-c", batch.held("full"), vcpus="14"), shareIdentifier="other"
    )
    batch.until(blocker, "RUNNING")
    name = batch.define("sh", "-c", batch.held("go"))
    arrays = {
        share: batch.submit(queue, name, shareIdentifier=share, arrayProperties={"size": 10})
        for share in ("team1", "crew7", "lead")
    }
    batch.release("full")

    def running() -> dict[str, int]:
        parents = {share: batch.describe(job_id) for share, job_id in arrays.items()}
        return {
            share: parent["arrayProperties"]["statusSummary"]["RUNNING"]
            for share, parent in parents.items()
        }

    wait_for(lambda: sum(running().values()) == 14)
    assert running() == {"team1": 2, "crew7": 4, "lead": 8}
    batch.release("go")
    batch.succeeded(blocker, *arrays.values())
    with pytest.raises(ClientError, match="overlap"):
        fair_queue(batch, shareDistribution=[*rules, {"shareIdentifier": "teamA*"}])


def test_what_a_share_had_counts_for_as_long_as_the_decay_says(batch: BatchClient) -> None:
    """`early` had more than `late`, but longer ago: that is less where the decay is short.

    The consumable resource, of which there is plenty, keeps the engine from being handed a job
    before there is room for it, so that each turn is decided at the end of the job before.
    """
    token = batch.name("token")
    batch.client.create_consumable_resource(consumableResourceName=token, totalQuantity=100)
    entry = {"consumableResource": token, "quantity": 1}
    needs = {"consumableResourcePropertiesOverride": {"consumableResourceList": [entry]}}
    jobs = []
    for decay_s in (1, 604_800):
        queue = fair_queue(batch, shareDecaySeconds=decay_s)
        order = batch.write(f"order-{decay_s}")
        for share, command in (
            ("early", f"{batch.held('go')}; sleep 1.2"),
            ("late", "sleep 0.8"),
            ("early", f"echo early {order}"),
            ("late", f"echo late {order}"),
        ):
            jobs.append(batch.run(queue, command, shareIdentifier=share, **needs))
    batch.release("go")
    batch.succeeded(*jobs)
    assert batch.lines("order-1") == ["early", "late"]
    assert batch.lines("order-604800") == ["late", "early"]


def test_priority_is_the_definitions_unless_the_submission_says_another(
    batch: BatchClient,
) -> None:
    queue = fair_queue(batch)
    blocker = batch.run(queue, batch.held("go"), shareIdentifier="a")
    batch.until(blocker, "RUNNING")
    job_ids = []
    for word, priority, other in (("low", 1, None), ("high", 5, None), ("raised", 1, 9)):
        name = batch.define(
            *("sh", "-c", f"echo {word} {batch.write('order')}"), schedulingPriority=priority
        )
        override = {} if other is None else {"schedulingPriorityOverride": other}
        job_ids.append(batch.submit(queue, name, shareIdentifier="a", **override))
    fronts = batch.client.get_job_queue_snapshot(jobQueue=queue)["frontOfQueue"]["jobs"]
    batch.release("go")
    batch.succeeded(*job_ids)
    assert batch.lines("order") == ["raised", "high", "low"]
    low, high, raised = job_ids
    assert [job["jobArn"].rpartition("/")[2] for job in fronts] == [raised, high, low]
    with pytest.raises(ClientError, match="shareIdentifier must be specified"):
        batch.run(queue, "true")


def test_tenants_share_a_queue_that_every_server_begins_with(batch: BatchClient) -> None:
    (queue,) = batch.client.describe_job_queues(jobQueues=["fair"])["jobQueues"]
    (policy,) = batch.client.describe_scheduling_policies(arns=[queue["schedulingPolicyArn"]])[
        "schedulingPolicies"
    ]
    assert policy["name"] == "fair"
    assert policy["fairsharePolicy"]["shareDecaySeconds"] == 600
    job_id = batch.run("fair", "true", shareIdentifier="acme")
    (job,) = batch.succeeded(job_id)
    assert job["shareIdentifier"] == "acme"
    with pytest.raises(ClientError, match="Submit to one that has, such as `fair`"):
        batch.run("default", "true", shareIdentifier="acme")


def test_a_reservation_is_kept_for_shares_that_are_not_there(batch: BatchClient) -> None:
    policy = batch.client.create_scheduling_policy(
        name=batch.name(), fairsharePolicy={"computeReservation": 50}
    )["arn"]
    queue = batch.queue(vcpus=4, schedulingPolicyArn=policy)
    job_ids = [batch.run(queue, batch.held("go"), shareIdentifier="a") for _ in range(3)]
    for job_id in job_ids[:2]:
        batch.until(job_id, "RUNNING")
    waiting = batch.describe(job_ids[2])
    assert waiting["status"] == "RUNNABLE"
    assert "keeps 2 for shares that are not active" in waiting["statusReason"]
    other = batch.run(queue, batch.held("go"), shareIdentifier="b")
    batch.until(other, "RUNNING")
    waiting = batch.describe(job_ids[2])
    assert "keeps 1 for shares that are not active (2 active)" in waiting["statusReason"]
    batch.release("go")
    batch.succeeded(*job_ids, other)


def test_short_jobs_do_not_take_turns_one_by_one(batch: BatchClient) -> None:
    """On one vCPU, from the first on, though the engine holds the next ones ahead.

    Ten to one is what they come to; but it is time that is shared, as the server sees it pass, so
    that on a busy machine one slow start is worth many jobs of a millisecond. Turns would be 55.
    """
    rule = [
        {"shareIdentifier": "heavy", "weightFactor": 0.1},
        {"shareIdentifier": "light", "weightFactor": 1},
    ]
    queue = fair_queue(batch, shareDistribution=rule)
    blocker = batch.run(queue, batch.held("go"), shareIdentifier="other")
    batch.until(blocker, "RUNNING")
    name = batch.define("sh", "-c", f'echo "$AWS_BATCH_JOB_ID" {batch.write("order")}')
    light, heavy = (
        batch.submit(queue, name, shareIdentifier=share, arrayProperties={"size": 110})
        for share in ("light", "heavy")
    )
    batch.release("go")
    batch.succeeded(light, heavy)
    first = [line.partition(":")[0] for line in batch.lines("order")[:110]]
    assert 1 <= first.count(light) <= 40
