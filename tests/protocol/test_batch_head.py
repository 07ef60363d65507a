"""A queue's head that waits too long, for the reasons that jobStateTimeLimitActions name."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_client import BatchClient

from tidemill.sdk.local import LocalServer

CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_MANY_VCPUS = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
TOO_MUCH_MEMORY = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def test_a_head_is_cancelled_that_waits_too_long_for_the_reason_given(batch: BatchClient) -> None:
    """Lifted limits allow a second; AWS's own are tested where limits hold."""
    heads = {
        CAPACITY: batch.define("true"),
        TOO_MANY_VCPUS: batch.define("true", vcpus="2"),
        TOO_MUCH_MEMORY: batch.define("true", memory="999999999"),
    }
    held: dict[str, tuple[str, str, str]] = {}
    for reason, definition in heads.items():
        action = {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": 1, "action": "CANCEL"}
        queue = batch.queue(vcpus=1, jobStateTimeLimitActions=[action])
        running = batch.run(queue, batch.held("go"))
        batch.until(running, "RUNNING")
        behind = batch.define("true", vcpus="2") if reason == CAPACITY else batch.define("true")
        head = batch.submit(queue, definition)
        held[reason] = running, head, batch.submit(queue, behind)
    for reason, (running, head, behind) in held.items():
        assert batch.describe(head)["statusReason"].startswith(f"{reason} - needs ")
        job = batch.failed(head)
        assert job["isCancelled"] and not job["attempts"]
        assert job["statusReason"].startswith(f"{reason} - needs ")
        assert job["statusReason"].endswith("after 1 s at its head")
        assert job["stoppedAt"] - job["createdAt"] >= 999, "clocks tell whole milliseconds"
        assert batch.describe(running)["status"] == "RUNNING"
        assert batch.describe(behind)["status"] == "RUNNABLE", "it waits for another reason"
        batch.client.cancel_job(jobId=behind, reason="done with it")
    batch.release("go")
    batch.succeeded(*(running for running, _, _ in held.values()))
