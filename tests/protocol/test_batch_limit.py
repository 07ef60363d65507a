"""What is refused by AWS's limits, what lifted ones allow, and names that are AWS's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer

SIZE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
OURS = [{"name": "AWS_BATCH_X", "value": "1"}]
CONTAINER = {"image": "busybox", "command": ["true"], "resourceRequirements": SIZE}


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def refused(call: Any, **params: Any) -> str:
    """The message with which a call is refused; it must be ClientException."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert caught.value.response["Error"]["Code"] == "ClientException"
    return str(caught.value.response["Error"]["Message"])


def test_aws_limits_hold_unless_they_are_lifted(lone_server: LocalServer, tmp_path: Path) -> None:
    batch = BatchClient(lone_server.client("batch"), tmp_path)
    base = {"jobName": "j", "jobQueue": "default", "jobDefinition": batch.define("true")}
    for members, words in (
        ({"arrayProperties": {"size": 10_001}}, "from 2 to 10000"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
    ):
        assert words in refused(batch.client.submit_job, **base, **members)
    action = {"reason": "CAPACITY", "state": "RUNNABLE", "action": "CANCEL"}
    for seconds in (599, 86_401):
        actions = [{**action, "maxTimeSeconds": seconds}]
        params = {"jobQueue": "default", "jobStateTimeLimitActions": actions}
        assert "from 600 to 86400" in refused(batch.client.update_job_queue, **params)
    array = {"size": 10_000}
    job_id = batch.submit(
        "default", batch.define("true", vcpus="999"), arrayProperties=array,
        timeout={"attemptDurationSeconds": 60},
    )  # fmt: skip
    assert batch.describe(job_id)["arrayProperties"]["size"] == 10_000


def test_lifted_limits_allow_ten_million_children(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    name = batch.define("true", vcpus="2")
    job_id = batch.submit(queue, name, arrayProperties={"size": 10_000_000})
    counts = batch.describe(job_id)["arrayProperties"]["statusSummary"]
    assert counts["RUNNABLE"] == sum(counts.values()) == 10_000_000
    batch.client.terminate_job(jobId=job_id, reason="enough")
    assert batch.failed(job_id)["arrayProperties"]["statusSummary"]["FAILED"] == 10_000_000
    assert batch.describe(f"{job_id}:9999999")["statusReason"] == "enough"
    params = {"jobName": "j", "jobQueue": queue, "jobDefinition": name}
    for size in (1, 10_000_001):
        said = refused(batch.client.submit_job, **params, arrayProperties={"size": size})
        assert "arrayProperties.size should be from 2 to 10000000" in said


def test_twenty_dependencies_and_no_more(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    name = batch.define("true")
    jobs = [{"jobId": batch.submit(queue, name)} for _ in range(21)]
    batch.succeeded(batch.submit(queue, name, dependsOn=jobs[:20]))
    params = {"jobName": "j", "jobQueue": queue, "jobDefinition": name, "dependsOn": jobs}
    assert "at most 20" in refused(batch.client.submit_job, **params)


def ecs(container: dict[str, Any]) -> dict[str, Any]:
    return {"taskProperties": [{"containers": [container]}]}


def nodes(container: dict[str, Any]) -> dict[str, Any]:
    ranges = [{"targetNodes": "0:", "container": container}]
    return {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("container", {"containerProperties": {**CONTAINER, "environment": OURS}}),
        ("container", {"ecsProperties": ecs({**CONTAINER, "environment": OURS})}),
        ("multinode", {"nodeProperties": nodes({**CONTAINER, "environment": OURS})}),
    ],
)
def test_no_definition_may_set_what_aws_does(
    batch: BatchClient, kind: str, properties: dict[str, Any]
) -> None:
    register = batch.client.register_job_definition
    said = refused(register, jobDefinitionName=batch.name(), type=kind, **properties)
    assert "AWS_BATCH_X" in said and "environment" in said


@pytest.mark.parametrize(
    ("kind", "properties", "overrides"),
    [
        (
            "container",
            {"containerProperties": CONTAINER},
            {"containerOverrides": {"environment": OURS}},
        ),
        (
            "container",
            {"ecsProperties": ecs({**CONTAINER, "name": "main"})},
            {"ecsPropertiesOverride": ecs({"name": "main", "environment": OURS})},
        ),
        (
            "multinode",
            {"nodeProperties": nodes(CONTAINER)},
            {
                "nodeOverrides": {
                    "nodePropertyOverrides": [
                        {"targetNodes": "1", "containerOverrides": {"environment": OURS}}
                    ]
                }
            },
        ),
    ],
)
def test_no_submission_may_set_what_aws_does(
    batch: BatchClient, kind: str, properties: dict[str, Any], overrides: dict[str, Any]
) -> None:
    name = batch.name()
    batch.client.register_job_definition(jobDefinitionName=name, type=kind, **properties)
    params = {"jobName": "j", "jobQueue": "default", "jobDefinition": name}
    said = refused(batch.client.submit_job, **params, **overrides)
    assert "AWS_BATCH_X" in said and "environment" in said
