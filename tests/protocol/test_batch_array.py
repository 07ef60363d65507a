"""Arrays and dependencies of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def array(size: int, *dependencies: dict[str, str]) -> dict[str, Any]:
    return {"arrayProperties": {"size": size}, "dependsOn": list(dependencies)}


def test_every_child_knows_its_index(batch: BatchClient) -> None:
    command = f'echo "$AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE" {batch.write("n")}'
    job_id = batch.run("default", command, **array(5))
    (job,) = batch.succeeded(job_id)
    assert sorted(batch.lines("n")) == [f"{index} of 5" for index in range(5)]
    summary = job["arrayProperties"]["statusSummary"]
    assert summary["SUCCEEDED"] == 5 and sum(summary.values()) == 5
    child = batch.describe(f"{job_id}:3")
    assert child["arrayProperties"]["index"] == 3 and child["status"] == "SUCCEEDED"
    assert child["jobArn"].endswith(f"job/{job_id}:3")


def test_children_run_on_when_one_fails(batch: BatchClient) -> None:
    job_id = batch.run("default", 'test "$AWS_BATCH_JOB_ARRAY_INDEX" != 1', **array(4))
    job = batch.failed(job_id)
    summary = job["arrayProperties"]["statusSummary"]
    assert (summary["SUCCEEDED"], summary["FAILED"]) == (3, 1)
    failed = batch.listed(arrayJobId=job_id, jobStatus="FAILED")
    assert failed == [f"{job_id}:1"]
    assert len(batch.listed(arrayJobId=job_id, jobStatus="SUCCEEDED")) == 3


def test_a_parent_is_pending_until_all_have_ended(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    job_id = batch.run(queue, batch.held("go"), **array(3))
    batch.until(f"{job_id}:0", "RUNNING")
    assert batch.describe(job_id)["status"] == "PENDING"
    assert batch.describe(f"{job_id}:2")["status"] == "RUNNABLE"
    assert batch.listed(arrayJobId=job_id) == [f"{job_id}:0"], "RUNNING is the default"
    assert batch.listed(arrayJobId=job_id, jobStatus="RUNNABLE", PaginationConfig={"PageSize": 1}) \
        == [f"{job_id}:1", f"{job_id}:2"]  # fmt: skip
    batch.release("go")
    batch.succeeded(job_id)


def test_an_array_is_terminated_as_a_whole(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=2)
    job_id = batch.run(queue, "exec sleep 60", **array(1000))
    for index in (0, 1):
        batch.until(f"{job_id}:{index}", "RUNNING")
    batch.client.cancel_job(jobId=f"{job_id}:999", reason="just you")
    assert batch.describe(f"{job_id}:999")["statusReason"] == "just you"
    batch.client.terminate_job(jobId=job_id, reason="all of you")
    job = batch.failed(job_id)
    assert job["arrayProperties"]["statusSummary"]["FAILED"] == 1000
    assert batch.describe(f"{job_id}:500")["statusReason"] == "all of you"
    assert batch.describe(f"{job_id}:0")["status"] == "FAILED"
    assert len(batch.listed(arrayJobId=job_id, jobStatus="FAILED")) == 1000


def test_a_job_waits_for_another(batch: BatchClient) -> None:
    first = batch.run("default", f"{batch.held('go')}; echo 1 {batch.write('order')}")
    second = batch.run("default", f"echo 2 {batch.write('order')}", dependsOn=[{"jobId": first}])
    waiting = batch.describe(second)
    assert waiting["status"] == "PENDING"
    assert first in waiting["statusReason"]
    assert waiting["dependsOn"] == [{"jobId": first}]
    batch.release("go")
    batch.succeeded(second)
    assert batch.lines("order") == ["1", "2"]
    third = batch.run("default", "true", dependsOn=[{"jobId": first}, {"jobId": second}])
    batch.succeeded(third)


def test_failure_is_passed_on(batch: BatchClient) -> None:
    first = batch.run("default", f"{batch.held('go')}; exit 1", retryStrategy={"attempts": 2})
    second = batch.run("default", "true", dependsOn=[{"jobId": first}])
    third = batch.run("default", "true", dependsOn=[{"jobId": second}])
    batch.release("go")
    assert first in batch.failed(second)["statusReason"]
    job = batch.failed(third)
    assert second in job["statusReason"] and not job["attempts"]
    late = batch.run("default", "true", dependsOn=[{"jobId": first}])
    assert first in batch.failed(late)["statusReason"]


def test_a_job_waits_for_all_of_an_array(batch: BatchClient) -> None:
    first = batch.run(
        "default",
        f'test "$AWS_BATCH_JOB_ARRAY_INDEX" = 0 || {batch.held("go")}',
        **array(3),
    )
    second = batch.run("default", "true", dependsOn=[{"jobId": first}])
    batch.until(f"{first}:0", "SUCCEEDED")
    assert batch.describe(second)["status"] == "PENDING"
    batch.release("go")
    batch.succeeded(second)


def test_a_failed_child_fails_what_waits_for_its_array_or_for_itself(batch: BatchClient) -> None:
    command = f'{batch.held("go")}; test "$AWS_BATCH_JOB_ARRAY_INDEX" != 1'
    first = batch.run("default", command, **array(3))
    behind_all, behind_two, behind_one = (
        batch.run("default", "true", dependsOn=[{"jobId": job_id}])
        for job_id in (first, f"{first}:2", f"{first}:1")
    )
    for job_id in (behind_all, behind_two, behind_one):
        assert batch.describe(job_id)["status"] == "PENDING"
    batch.release("go")
    batch.succeeded(behind_two)
    for job_id, awaited in ((behind_all, first), (behind_one, f"{first}:1")):
        job = batch.failed(job_id)
        assert job["statusReason"] == f"Dependent Job failed: {awaited}" and not job["attempts"]


def test_a_child_is_tried_again_on_its_own(batch: BatchClient) -> None:
    tried = '"$AWS_BATCH_JOB_ARRAY_INDEX $AWS_BATCH_JOB_ATTEMPT"'
    command = f'echo {tried} {batch.write("tried")}; test {tried} != "1 1"'
    job_id = batch.run("default", command, retryStrategy={"attempts": 2}, **array(3))
    batch.succeeded(job_id)
    assert sorted(batch.lines("tried")) == ["0 1", "1 1", "1 2", "2 1"]
    counts = [len(batch.describe(f"{job_id}:{index}")["attempts"]) for index in range(3)]
    assert counts == [1, 2, 1]


def test_children_wait_for_their_pair(batch: BatchClient) -> None:
    first = batch.run(
        "default",
        f'case "$AWS_BATCH_JOB_ARRAY_INDEX" in 0) ;; 1) exit 1;; 2) {batch.held("go")};; esac',
        **array(3),
    )
    second = batch.run("default", "true", **array(3, {"jobId": first, "type": "N_TO_N"}))
    batch.until(f"{second}:0", "SUCCEEDED")
    assert f"{first}:1" in batch.failed(f"{second}:1")["statusReason"]
    waiting = batch.describe(f"{second}:2")
    assert waiting["status"] == "PENDING" and f"{first}:2" in waiting["statusReason"]
    batch.release("go")
    batch.until(f"{second}:2", "SUCCEEDED")
    batch.failed(second)
    with pytest.raises(ClientError, match="size"):
        batch.run("default", "true", **array(4, {"jobId": first, "type": "N_TO_N"}))


def test_children_one_after_another(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    job_id = batch.run(
        queue,
        f'echo "$AWS_BATCH_JOB_ARRAY_INDEX" {batch.write("order")}',
        **array(6, {"type": "SEQUENTIAL"}),
    )
    batch.succeeded(job_id)
    assert batch.lines("order") == [str(index) for index in range(6)]


def test_a_parent_counts_its_children_by_state(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    job_id = batch.run(queue, batch.held("go"), **array(3))
    batch.until(f"{job_id}:0", "RUNNING")
    counts = batch.describe(job_id)["arrayProperties"]["statusSummary"]
    assert (counts["RUNNABLE"], counts["RUNNING"], sum(counts.values())) == (2, 1, 3)
    behind = batch.run(queue, "true", **array(3, {"jobId": job_id}))
    counts = batch.describe(behind)["arrayProperties"]["statusSummary"]
    assert counts["PENDING"] == sum(counts.values()) == 3
    assert batch.describe(f"{behind}:2")["status"] == "PENDING"
    batch.release("go")
    batch.succeeded(job_id, behind)


def test_a_cancelled_array_ends_after_the_children_that_run(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    job_id = batch.run(queue, batch.held("go"), **array(4))
    batch.until(f"{job_id}:0", "RUNNING")
    batch.client.cancel_job(jobId=job_id, reason="no more")
    assert batch.describe(f"{job_id}:0")["status"] == "RUNNING"
    child = batch.describe(f"{job_id}:3")
    assert (child["status"], child["statusReason"]) == ("FAILED", "no more")
    assert batch.describe(job_id)["status"] == "PENDING"
    batch.release("go")
    job = batch.failed(job_id)
    counts = job["arrayProperties"]["statusSummary"]
    assert (counts["SUCCEEDED"], counts["FAILED"]) == (1, 3)
    assert job["isCancelled"] and job["statusReason"] == "no more"


def test_an_array_that_waits_for_another_job_is_cancelled_at_once(batch: BatchClient) -> None:
    first = batch.run("default", batch.held("go"))
    job_id = batch.run("default", "true", **array(3, {"jobId": first}))
    batch.client.cancel_job(jobId=job_id, reason="no more")
    job = batch.describe(job_id)
    assert job["status"] == "FAILED" and job["arrayProperties"]["statusSummary"]["FAILED"] == 3
    batch.release("go")
    batch.succeeded(first)


def test_pairs_of_an_array_that_has_ended(batch: BatchClient) -> None:
    """Each child fares as its pair did, though that was long ago."""
    command = 'test "$AWS_BATCH_JOB_ARRAY_INDEX" != 1'
    first = batch.run("default", command, **array(3))
    batch.failed(first)
    second = batch.run("default", "true", **array(3, {"jobId": first, "type": "N_TO_N"}))
    batch.failed(second)
    assert f"{first}:1" in batch.describe(f"{second}:1")["statusReason"]
    for index in (0, 2):
        batch.succeeded(f"{second}:{index}")
    third = batch.run("default", "true", **array(3))
    batch.succeeded(third)
    batch.succeeded(batch.run("default", "true", **array(3, {"jobId": third, "type": "N_TO_N"})))


def test_a_sequence_ends_where_a_child_fails(batch: BatchClient) -> None:
    command = (
        f'echo "$AWS_BATCH_JOB_ARRAY_INDEX" {batch.write("order")}; '
        'test "$AWS_BATCH_JOB_ARRAY_INDEX" != 2'
    )
    job_id = batch.run("default", command, **array(5, {"type": "SEQUENTIAL"}))
    batch.failed(job_id)
    assert batch.lines("order") == ["0", "1", "2"]
    for index in (3, 4):
        child = batch.describe(f"{job_id}:{index}")
        assert child["status"] == "FAILED" and f"{job_id}:2" in child["statusReason"]


def test_a_child_times_out_alone_and_is_not_retried(batch: BatchClient) -> None:
    job_id = batch.run(
        "default",
        'test "$AWS_BATCH_JOB_ARRAY_INDEX" = 0 || exec sleep 60',
        timeout={"attemptDurationSeconds": 1},
        retryStrategy={"attempts": 3},
        **array(2),
    )
    batch.failed(job_id)
    batch.succeeded(f"{job_id}:0")
    child = batch.failed(f"{job_id}:1")
    assert child["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(child["attempts"]) == 1
