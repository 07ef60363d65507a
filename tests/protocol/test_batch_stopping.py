"""TerminateJob on what won't end at once: process groups, grace, and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient, wait_for
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer

SIZE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def resisting(batch: BatchClient, word: str) -> str:
    """A shell command that notes each SIGTERM and runs on until `release("go")`."""
    said = batch.write("said")
    return f"trap 'echo {word} term {said}' TERM; echo {word} up {said}; {batch.held('go')}"


def with_grace(batch: BatchClient, command: str, grace_s: int) -> str:
    """A definition of a container with AWS's stopTimeout; its name."""
    name = batch.name()
    container: dict[str, Any] = {
        "image": "busybox",
        "command": ["sh", "-c", command],
        "resourceRequirements": SIZE,
        "stopTimeout": grace_s,
    }
    batch.client.register_job_definition(
        jobDefinitionName=name,
        type="container",
        ecsProperties={"taskProperties": [{"containers": [container]}]},
    )
    return name


def test_the_whole_process_group_gets_sigterm(batch: BatchClient) -> None:
    job_id = batch.run("default", f"( {resisting(batch, 'child')} ) & {resisting(batch, 'parent')}")
    wait_for(lambda: sorted(batch.lines("said")) == ["child up", "parent up"])
    batch.client.terminate_job(jobId=job_id, reason="enough")
    wait_for(lambda: {"child term", "parent term"} <= set(batch.lines("said")))
    batch.release("go")
    assert batch.failed(job_id)["statusReason"] == "enough"


def test_a_deaf_job_is_killed_after_its_stop_timeout_and_no_sooner_than_30_s_without(
    batch: BatchClient,
) -> None:
    queue = batch.queue(vcpus=2)
    patient = batch.run(queue, resisting(batch, "patient"), retryStrategy={"attempts": 2})
    short = batch.submit(queue, with_grace(batch, resisting(batch, "short"), 2))
    wait_for(lambda: len(batch.lines("said")) == 2)
    for job_id in (patient, short):
        batch.client.terminate_job(jobId=job_id, reason="enough")
    job = batch.failed(short)
    assert job["attempts"][0]["container"]["exitCode"] == 137
    assert batch.lines("said").count("patient term") == 1
    running = batch.describe(patient)
    assert running["status"] == "RUNNING" and running["isTerminated"]
    batch.release("go")
    job = batch.failed(patient)
    assert job["container"]["exitCode"] == 0, "it ended by itself, and is FAILED all the same"
    assert job["statusReason"] == "enough" and len(job["attempts"]) == 1


def test_a_stop_timeout_is_at_least_two_seconds(batch: BatchClient) -> None:
    with pytest.raises(ClientError, match="stopTimeout should be at least 2 seconds; got 1"):
        with_grace(batch, "true", 1)


def test_an_array_ends_after_its_children_that_resist(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=2)
    job_id = batch.run(
        queue, resisting(batch, "$AWS_BATCH_JOB_ARRAY_INDEX"), arrayProperties={"size": 3}
    )
    wait_for(lambda: sorted(batch.lines("said")) == ["0 up", "1 up"])
    batch.client.terminate_job(jobId=job_id, reason="all of you")
    wait_for(lambda: len(batch.lines("said")) == 4)
    parent = batch.describe(job_id)
    counts = parent["arrayProperties"]["statusSummary"]
    assert (parent["status"], counts["RUNNING"], counts["FAILED"]) == ("PENDING", 2, 1)
    batch.release("go")
    parent = batch.failed(job_id)
    assert parent["statusReason"] == "all of you" and parent["isTerminated"]
    children = [batch.describe(f"{job_id}:{index}") for index in range(3)]
    assert {child["statusReason"] for child in children} == {"all of you"}
    assert max(child["stoppedAt"] for child in children) <= parent["stoppedAt"]
