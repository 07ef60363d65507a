"""A job's life: its states, its log, retries, timeouts, cancelling and terminating."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from batch_client import BatchClient, wait_for

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def full(batch: BatchClient) -> tuple[str, str]:
    """A queue of one vCPU, and the job that holds it until `release("full")`."""
    queue = batch.queue(vcpus=1)
    job_id = batch.run(queue, batch.held("full"))
    batch.until(job_id, "RUNNING")
    return queue, job_id


def test_from_runnable_to_succeeded(batch: BatchClient) -> None:
    queue, first = full(batch)
    job_id = batch.run(queue, "true")
    waiting = batch.describe(job_id)
    assert waiting["status"] == "RUNNABLE"
    assert waiting["statusReason"].startswith("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    assert "startedAt" not in waiting and "logStreamName" not in waiting["container"]
    running = batch.describe(first)
    assert running["container"]["logStreamName"]
    batch.release("full")
    (job,) = batch.succeeded(job_id)
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert job["container"]["exitCode"] == 0
    assert job["statusReason"] == "Essential container in task exited"
    assert len(job["attempts"]) == 1


def test_a_job_that_can_never_run_says_so(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=2)
    name = batch.define("true", vcpus="3")
    job = batch.describe(batch.submit(queue, name))
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")


def test_output_is_in_the_log_group_of_batch(server: LocalServer, batch: BatchClient) -> None:
    name = batch.define("sh", "-c", "echo out; echo err >&2")
    (job,) = batch.succeeded(batch.submit("default", name))
    stream = job["container"]["logStreamName"]
    prefix, middle, digest = stream.split("/")
    assert (prefix, middle) == (name, "default")
    assert len(digest) == 32 and set(digest) <= set("0123456789abcdef")
    logs = server.client("logs")

    def messages() -> list[str]:
        found = logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in found["events"]]

    wait_for(lambda: sorted(messages()) == ["err", "out"])


def test_output_goes_to_the_group_and_stream_that_a_definition_names(
    server: LocalServer, batch: BatchClient
) -> None:
    group = batch.name("/team/reports")
    options = {"awslogs-group": group, "awslogs-stream-prefix": "nightly/run"}
    container = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    job_id = batch.submit("default", batch.define("echo", "hello", container=container))
    (job,) = batch.succeeded(job_id)
    assert job["container"]["logConfiguration"]["options"] == options
    stream = job["container"]["logStreamName"]
    assert re.fullmatch(r"nightly/run/default/[0-9a-f]{32}", stream)
    logs = server.client("logs")

    def messages() -> list[str]:
        found = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        return [event["message"] for event in found["events"]]

    wait_for(lambda: messages() == ["hello"])
    (shown,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert shown["logStreamName"] == stream
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)


def test_attempts_are_counted_and_shown(batch: BatchClient) -> None:
    counter = batch.write("tries")
    job_id = batch.run("default", f"echo x {counter}; exit 7", retryStrategy={"attempts": 3})
    job = batch.failed(job_id)
    assert batch.lines("tries") == ["x"] * 3
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [7, 7, 7]
    streams = {a["container"]["logStreamName"] for a in job["attempts"]}
    assert len(streams) == 3


@pytest.mark.parametrize(
    ("rules", "tries"),
    [
        ([{"onExitCode": "7", "action": "EXIT"}], 1),
        ([{"onExitCode": "7*", "action": "EXIT"}], 1),
        ([{"onExitCode": "8", "action": "EXIT"}], 3),
        ([{"onExitCode": "7", "onReason": "never", "action": "EXIT"}], 3),
        ([{"onStatusReason": "Essential*", "action": "EXIT"}], 1),
        (
            [{"onExitCode": "7", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}],
            3,
        ),
    ],
)
def test_evaluate_on_exit(batch: BatchClient, rules: list[dict[str, str]], tries: int) -> None:
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    job = batch.failed(batch.run("default", "exit 7", retryStrategy=strategy))
    assert len(job["attempts"]) == tries


def test_a_retried_job_may_succeed(batch: BatchClient) -> None:
    command = f'echo x {batch.write("tries")}; test "$AWS_BATCH_JOB_ATTEMPT" = 2'
    job_id = batch.run("default", command, retryStrategy={"attempts": 5})
    (job,) = batch.succeeded(job_id)
    assert batch.lines("tries") == ["x", "x"]
    assert job["container"]["exitCode"] == 0


def test_a_timeout_ends_a_job_and_is_not_retried(batch: BatchClient) -> None:
    job_id = batch.run(
        "default",
        "exec sleep 60",
        timeout={"attemptDurationSeconds": 1},
        retryStrategy={"attempts": 3},
    )
    job = batch.failed(job_id)
    assert len(job["attempts"]) == 1
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert job["stoppedAt"] - job["startedAt"] >= 1000


def test_a_command_that_cannot_start_fails(batch: BatchClient) -> None:
    job = batch.failed(batch.submit("default", batch.define("/no/such/program")))
    assert job["attempts"][0]["container"]["reason"].startswith("CannotStartContainerError")


def test_cancel_ends_what_waits_and_leaves_what_runs(batch: BatchClient) -> None:
    queue, running = full(batch)
    waiting = batch.run(queue, "true")
    pending = batch.run(queue, "true", dependsOn=[{"jobId": running}])
    for job_id in (running, waiting, pending):
        batch.client.cancel_job(jobId=job_id, reason="not needed")
    for job_id in (waiting, pending):
        job = batch.describe(job_id)
        assert job["status"] == "FAILED"
        assert job["statusReason"] == "not needed"
        assert job["isCancelled"] and not job["attempts"]
    assert batch.describe(running)["status"] == "RUNNING"
    batch.release("full")
    batch.succeeded(running)
    batch.client.cancel_job(jobId=running, reason="too late")
    assert batch.describe(running)["status"] == "SUCCEEDED"
    batch.client.cancel_job(jobId="11111111-2222-3333-4444-555555555555", reason="nobody")


def test_terminate_sends_sigterm_first(batch: BatchClient) -> None:
    said = batch.write("said")
    command = f"trap 'echo term {said}; exit 9' TERM; echo up {said}; while :; do sleep 0.02; done"
    job_id = batch.run("default", command, retryStrategy={"attempts": 3})
    wait_for(lambda: batch.lines("said") == ["up"])
    batch.client.terminate_job(jobId=job_id, reason="enough")
    job = batch.failed(job_id)
    assert batch.lines("said") == ["up", "term"]
    assert job["statusReason"] == "enough"
    assert job["isTerminated"]
    assert len(job["attempts"]) == 1, "what was terminated is not retried"
    assert job["container"]["exitCode"] == 9


def test_terminate_ends_what_waits(batch: BatchClient) -> None:
    queue, running = full(batch)
    waiting = batch.run(queue, "true")
    batch.client.terminate_job(jobId=waiting, reason="gone")
    assert batch.describe(waiting)["statusReason"] == "gone"
    batch.release("full")
    batch.succeeded(running)


def test_tags_of_a_job(batch: BatchClient) -> None:
    job_id = batch.run("default", "true", tags={"a": "1"})
    arn = batch.describe(job_id)["jobArn"]
    batch.client.tag_resource(resourceArn=arn, tags={"b": "2"})
    batch.client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert batch.client.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert batch.describe(job_id)["tags"] == {"b": "2"}


@pytest.mark.parametrize(
    ("vcpus", "memory", "code"),
    [
        ("3", "64", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - needs 3 vCPU"),
        ("1", "999999999", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - needs "),
    ],
)
def test_what_is_too_large_says_what_there_is(
    batch: BatchClient, vcpus: str, memory: str, code: str
) -> None:
    """Of a job, of an array and of its child, right after SubmitJob, and in ListJobs."""
    queue = batch.queue(vcpus=2)
    name = batch.define("true", vcpus=vcpus, memory=memory)
    one = batch.submit(queue, name)
    many = batch.submit(queue, name, arrayProperties={"size": 2})
    for job_id in (one, many, f"{many}:1"):
        assert batch.describe(job_id)["statusReason"].startswith(code)
    (shown,) = batch.client.list_jobs(jobQueue=queue, jobStatus="RUNNABLE")["jobSummaryList"]
    assert shown["statusReason"].startswith(code)
    for job_id in (one, many):
        batch.client.terminate_job(jobId=job_id, reason="too large")


def test_a_job_behind_others_says_how_many(batch: BatchClient) -> None:
    queue, _ = full(batch)
    waiting = [batch.run(queue, "true") for _ in range(3)]
    reasons = [batch.describe(job_id)["statusReason"] for job_id in waiting]
    assert all("0 of 1 free" in reason for reason in reasons)
    assert "before it" not in reasons[0]
    assert "1 job is before it" in reasons[1]
    assert "2 jobs are before it" in reasons[2]
    batch.release("full")
    batch.succeeded(*waiting)


def test_terminate_ends_what_waits_for_another_job(batch: BatchClient) -> None:
    queue, running = full(batch)
    pending = batch.run(queue, "true", dependsOn=[{"jobId": running}])
    behind = batch.run(queue, "true", dependsOn=[{"jobId": pending}])
    batch.client.terminate_job(jobId=pending, reason="gone")
    job = batch.describe(pending)
    assert (job["status"], job["statusReason"]) == ("FAILED", "gone")
    assert job["isTerminated"] and "startedAt" not in job
    assert pending in batch.describe(behind)["statusReason"]
    batch.release("full")
    batch.succeeded(running)
