"""Queues and compute environments, priority and consumable resources."""

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


def test_a_disabled_queue_takes_no_jobs_and_finishes_what_it_has(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    job_ids = [batch.run(queue, batch.held("go")) for _ in range(2)]
    batch.client.update_job_queue(jobQueue=queue, state="DISABLED")
    with pytest.raises(ClientError, match="DISABLED"):
        batch.run(queue, "true")
    batch.release("go")
    batch.succeeded(*job_ids)


def test_a_queue_is_deleted_with_its_jobs(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    running, waiting = (batch.run(queue, "exec sleep 60") for _ in range(2))
    batch.until(running, "RUNNING")
    with pytest.raises(ClientError, match="DISABLED first"):
        batch.client.delete_job_queue(jobQueue=queue)
    batch.client.update_job_queue(jobQueue=queue, state="DISABLED")
    batch.client.delete_job_queue(jobQueue=queue)
    batch.failed(waiting)
    batch.failed(running)
    wait_for(lambda: not batch.client.describe_job_queues(jobQueues=[queue])["jobQueues"])


def test_an_environment_in_use_is_kept(batch: BatchClient) -> None:
    environment = batch.environment()
    queue = batch.queue(environment=environment)
    delete = batch.client.delete_compute_environment
    with pytest.raises(ClientError, match="DISABLED first"):
        delete(computeEnvironment=environment)
    batch.client.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    with pytest.raises(ClientError, match="JobQueue relationship"):
        delete(computeEnvironment=environment)
    batch.client.update_job_queue(jobQueue=queue, state="DISABLED")
    batch.client.delete_job_queue(jobQueue=queue)
    delete(computeEnvironment=environment)
    describe = batch.client.describe_compute_environments
    assert not describe(computeEnvironments=[environment])["computeEnvironments"]


def test_a_disabled_environment_starts_nothing(batch: BatchClient) -> None:
    environment = batch.environment()
    queue = batch.queue(environment=environment)
    batch.client.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    job_id = batch.run(queue, "true")
    job = batch.describe(job_id)
    assert job["status"] == "RUNNABLE" and "DISABLED" in job["statusReason"].upper()
    batch.client.update_compute_environment(computeEnvironment=environment, state="ENABLED")
    batch.succeeded(job_id)


def test_max_vcpus_bound_what_runs_and_desired_says_what_does(batch: BatchClient) -> None:
    environment = batch.environment(vcpus=2)
    queue = batch.queue(environment=environment)
    job_ids = [batch.run(queue, batch.held("go")) for _ in range(4)]
    for job_id in job_ids[:2]:
        batch.until(job_id, "RUNNING")
    assert [batch.describe(job_id)["status"] for job_id in job_ids[2:]] == ["RUNNABLE"] * 2

    def desired() -> int:
        answer = batch.client.describe_compute_environments(computeEnvironments=[environment])
        return int(answer["computeEnvironments"][0]["computeResources"]["desiredvCpus"])

    assert desired() == 2
    batch.client.update_compute_environment(
        computeEnvironment=environment, computeResources={"maxvCpus": 4}
    )
    for job_id in job_ids[2:]:
        batch.until(job_id, "RUNNING")
    batch.release("go")
    batch.succeeded(*job_ids)
    wait_for(lambda: desired() == 0)


def test_fractions_of_a_vcpu(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    name = batch.define("sh", "-c", batch.held("go"), vcpus="0.25")
    job_ids = [batch.submit(queue, name) for _ in range(5)]
    for job_id in job_ids[:4]:
        batch.until(job_id, "RUNNING")
    assert batch.describe(job_ids[4])["status"] == "RUNNABLE"
    batch.release("go")
    batch.succeeded(*job_ids)


def test_the_next_environment_is_used_when_the_first_is_full(batch: BatchClient) -> None:
    first, second = batch.environment(vcpus=1), batch.environment(vcpus=3)
    queue = batch.name("queue")
    batch.client.create_job_queue(
        jobQueueName=queue,
        priority=1,
        computeEnvironmentOrder=[
            {"order": 2, "computeEnvironment": second},
            {"order": 1, "computeEnvironment": first},
        ],
    )
    name = batch.define("sh", "-c", f'echo "$AWS_BATCH_CE_NAME" {batch.write("where")}; '
                        + batch.held("go"))  # fmt: skip
    small = batch.submit(queue, name)
    batch.until(small, "RUNNING")
    wait_for(lambda: batch.lines("where") == [first])
    other = batch.submit(queue, name)
    wait_for(lambda: batch.lines("where") == [first, second])
    batch.release("go")
    batch.succeeded(small, other)


def test_the_next_environment_is_used_when_the_first_is_too_small(batch: BatchClient) -> None:
    """Though the first is empty; and a job that it can take goes there."""
    small, large = batch.environment(vcpus=1), batch.environment(vcpus=4)
    queue = batch.name("queue")
    order = enumerate((small, large), 1)
    batch.client.create_job_queue(
        jobQueueName=queue,
        priority=1,
        computeEnvironmentOrder=[
            {"order": number, "computeEnvironment": name} for number, name in order
        ],
    )
    command = ("sh", "-c", f'echo "$AWS_BATCH_CE_NAME" {batch.write("where")}')
    for vcpus, place in (("2", large), ("1", small), ("4", large)):
        batch.succeeded(batch.submit(queue, batch.define(*command, vcpus=vcpus)))
        assert batch.lines("where")[-1] == place
    job = batch.describe(batch.submit(queue, batch.define(*command, vcpus="5")))
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")
    batch.client.cancel_job(jobId=job["jobId"], reason="too large")


def test_min_vcpus_are_reported_as_wanted_and_zero_as_none(batch: BatchClient) -> None:
    """Nothing is kept warm on this machine, whatever the minimum; what is told follows AWS."""

    def told(name: str) -> tuple[int, int]:
        answer = batch.client.describe_compute_environments(computeEnvironments=[name])
        resources = answer["computeEnvironments"][0]["computeResources"]
        return resources["minvCpus"], resources["desiredvCpus"]

    environment = batch.environment(vcpus=4)
    assert told(environment) == (0, 0)
    job_id = batch.run(batch.queue(environment=environment), batch.held("go"))
    batch.until(job_id, "RUNNING")
    assert told(environment) == (0, 1)
    update = batch.client.update_compute_environment
    update(computeEnvironment=environment, computeResources={"minvCpus": 2})
    assert told(environment) == (2, 2)
    batch.release("go")
    batch.succeeded(job_id)
    update(computeEnvironment=environment, computeResources={"minvCpus": 0})
    wait_for(lambda: told(environment) == (0, 0))
    with pytest.raises(ClientError, match="minvCpus should be from 0 to maxvCpus, 4; got 5"):
        update(computeEnvironment=environment, computeResources={"minvCpus": 5})


def test_the_queue_of_higher_priority_goes_first(batch: BatchClient) -> None:
    environment = batch.environment(vcpus=1)
    low = batch.queue(environment=environment, priority=1)
    high = batch.queue(environment=environment, priority=10)
    blocker = batch.run(low, batch.held("go"))
    batch.until(blocker, "RUNNING")
    job_ids = [
        batch.run(queue, f"echo {word} {batch.write('order')}")
        for queue, word in ((low, "low1"), (low, "low2"), (high, "high"))
    ]
    batch.release("go")
    batch.succeeded(*job_ids)
    assert batch.lines("order") == ["high", "low1", "low2"]


def test_jobs_of_a_queue_go_in_order_and_none_overtakes_a_large_one(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=2)
    blocker = batch.run(queue, batch.held("go"))
    batch.until(blocker, "RUNNING")
    large = batch.submit(
        queue, batch.define("sh", "-c", f"echo large {batch.write('order')}", vcpus="2")
    )
    small = batch.run(queue, f"echo small {batch.write('order')}")
    snapshot = batch.client.get_job_queue_snapshot(jobQueue=queue)
    arns = [job["jobArn"] for job in snapshot["frontOfQueue"]["jobs"]]
    assert [arn.rpartition("/")[2] for arn in arns] == [large, small]
    batch.release("go")
    batch.succeeded(large, small)
    assert batch.lines("order") == ["large", "small"]


def demand(name: str, quantity: int) -> dict[str, Any]:
    entry = {"consumableResource": name, "quantity": quantity}
    return {"consumableResourcePropertiesOverride": {"consumableResourceList": [entry]}}


def test_a_replenishable_resource_is_held_from_start_to_end(batch: BatchClient) -> None:
    name = batch.name("connections")
    batch.client.create_consumable_resource(consumableResourceName=name, totalQuantity=2)
    queue = batch.queue(vcpus=8)
    job_ids = [batch.run(queue, batch.held("go"), **demand(name, 1)) for _ in range(3)]
    for job_id in job_ids[:2]:
        batch.until(job_id, "RUNNING")
    waiting = batch.describe(job_ids[2])
    assert waiting["status"] == "RUNNABLE" and name in waiting["statusReason"]

    def shown() -> tuple[int, int]:
        found = batch.client.describe_consumable_resource(consumableResource=name)
        return found["inUseQuantity"], found["availableQuantity"]

    assert shown() == (2, 0)
    by_resource = batch.client.list_jobs_by_consumable_resource(consumableResource=name)["jobs"]
    assert len(by_resource) == 3
    batch.release("go")
    batch.succeeded(*job_ids)
    wait_for(lambda: shown() == (0, 2))


def test_a_non_replenishable_resource_is_spent(batch: BatchClient) -> None:
    name = batch.name("coupons")
    batch.client.create_consumable_resource(
        consumableResourceName=name, totalQuantity=3, resourceType="NON_REPLENISHABLE"
    )
    batch.succeeded(batch.run("default", "true", **demand(name, 2)))
    waiting = batch.run("default", "true", **demand(name, 2))
    assert batch.describe(waiting)["status"] == "RUNNABLE"
    batch.client.update_consumable_resource(
        consumableResource=name, operation="ADD", quantity=1, clientToken="once"
    )
    batch.succeeded(waiting)


def test_a_server_shows_what_it_was_asked_to_make(batch: BatchClient) -> None:
    actions = [
        {
            "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            "state": "RUNNABLE",
            "maxTimeSeconds": 600,
            "action": "CANCEL",
        }
    ]
    queue = batch.queue(priority=7, jobStateTimeLimitActions=actions, tags={"a": "b"})
    (shown,) = batch.client.describe_job_queues(jobQueues=[queue])["jobQueues"]
    assert shown["priority"] == 7 and shown["tags"] == {"a": "b"}
    assert shown["jobStateTimeLimitActions"] == actions
    assert (shown["state"], shown["status"]) == ("ENABLED", "VALID")
    policy = batch.client.create_scheduling_policy(
        name=batch.name(), fairsharePolicy={"computeReservation": 10}
    )["arn"]
    (found,) = batch.client.describe_scheduling_policies(arns=[policy])["schedulingPolicies"]
    assert found["fairsharePolicy"]["computeReservation"] == 10
    pages = batch.client.get_paginator("list_scheduling_policies").paginate(
        PaginationConfig={"PageSize": 1}
    )
    assert policy in [each["arn"] for page in pages for each in page["schedulingPolicies"]]
