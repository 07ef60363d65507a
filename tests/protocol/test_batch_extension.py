"""What SubmitJob's tags add to AWS: delays, pauses between tries, interruptions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from batch_client import BatchClient
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def codes(batch: BatchClient, job_id: str) -> list[int]:
    return [each["container"]["exitCode"] for each in batch.describe(job_id)["attempts"]]


def test_a_delayed_job_and_array_say_until_when(batch: BatchClient) -> None:
    queue, tags = batch.queue(), {"tidemill:delay": "60", "team": "blue"}
    job_id = batch.run(queue, "true", tags=tags)
    array = batch.run(queue, "true", tags=tags, arrayProperties={"size": 2})
    job, parent, child = (batch.describe(each) for each in (job_id, array, f"{array}:1"))
    for each in (job, parent, child):
        assert each["status"] == "PENDING" and each["tags"] == tags
        assert re.fullmatch(
            r"Waits until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, \d\d s from now, as its tag "
            "tidemill:delay says",
            each["statusReason"],
        )
    assert parent["arrayProperties"]["statusSummary"]["PENDING"] == 2
    assert set(batch.listed(jobQueue=queue, jobStatus="PENDING")) == {job_id, array}
    assert len(batch.listed(arrayJobId=array, jobStatus="PENDING")) == 2
    for each in (job_id, array):
        batch.client.cancel_job(jobId=each, reason="not wanted")
        assert batch.failed(each)["isCancelled"]


def test_a_job_and_an_array_start_after_their_delay(batch: BatchClient) -> None:
    tags = {"tidemill:delay": "0.5"}
    first = batch.run("default", "true", tags=tags)
    array = batch.run("default", "true", tags=tags, arrayProperties={"size": 2})
    behind = batch.run("default", "true", dependsOn=[{"jobId": array}], tags=tags)
    for done in batch.succeeded(first, f"{array}:0", f"{array}:1", behind):
        assert done["startedAt"] - done["createdAt"] >= 499, "clocks tell whole milliseconds"


def test_a_job_that_pauses_before_it_is_tried_again_holds_nobody_back(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    members = {"retryStrategy": {"attempts": 3}, "tags": {"tidemill:backoff": "60:60"}}
    job_id = batch.run(queue, "exit 1", **members)
    behind = batch.run(queue, batch.held("go"))
    batch.until(behind, "RUNNING")
    paused = batch.describe(job_id)
    assert paused["status"] == "RUNNABLE"
    assert re.fullmatch(
        r"Waits \d\d s more before attempt 2 of 3, as its tag tidemill:backoff says",
        paused["statusReason"],
    )
    snapshot = batch.client.get_job_queue_snapshot(jobQueue=queue)["frontOfQueue"]["jobs"]
    assert not snapshot, "it isn't in line"
    batch.client.cancel_job(jobId=job_id, reason="not wanted")
    assert batch.failed(job_id)["isCancelled"]
    batch.release("go")
    batch.succeeded(behind)


def test_a_pause_lies_between_two_tries_and_grows(batch: BatchClient) -> None:
    job_id = batch.run(
        "default",
        "[ $AWS_BATCH_JOB_ATTEMPT = 3 ]",
        retryStrategy={"attempts": 3},
        tags={"tidemill:backoff": "0.2:9"},
    )
    (job,) = batch.succeeded(job_id)
    first, second, third = job["attempts"]
    assert second["startedAt"] - first["stoppedAt"] >= 99
    assert third["startedAt"] - second["stoppedAt"] >= 199


def test_an_interrupted_attempt_is_run_again_and_does_not_count(batch: BatchClient) -> None:
    """evaluateOnExit would end the job at once, and `attempts` allows no other try."""
    rules = [{"onExitCode": "*", "action": "EXIT"}]
    members = {
        "retryStrategy": {"attempts": 1, "evaluateOnExit": rules},
        "tags": {"tidemill:interrupted": "75"},
    }
    command = "[ $AWS_BATCH_JOB_ATTEMPT -gt 3 ] || exit 75"
    job_id = batch.run("default", command, **members)
    array = batch.run("default", command, arrayProperties={"size": 2}, **members)
    batch.succeeded(job_id, array)
    for each in (job_id, f"{array}:0", f"{array}:1"):
        assert codes(batch, each) == [75, 75, 75, 0]
    failing = batch.run("default", "exit 74", **members)
    batch.failed(failing)
    assert codes(batch, failing) == [74]


@pytest.mark.parametrize(
    ("tag", "value", "right"),
    [
        ("tidemill:delay", "tomorrow", "seconds, as 90 or 0.5"),
        ("tidemill:backoff", "60", "first and the longest wait in seconds, as 2:60"),
        ("tidemill:interrupted", "no", "exit code from 1 to 255"),
    ],
)
def test_a_tag_that_can_not_be_meant_is_refused(
    batch: BatchClient, tag: str, value: str, right: str
) -> None:
    with pytest.raises(ClientError, match=f"tags: {tag} should be .*{right}") as refused:
        batch.run("default", "true", tags={tag: value})
    assert refused.value.response["Error"]["Code"] == "ClientException"
