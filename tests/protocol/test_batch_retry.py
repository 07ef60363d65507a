"""What is tried again: attempts, the rules of evaluateOnExit, and hosts that die."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from batch_client import BatchClient, wait_for
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
EXITED = "Essential container in task exited"
Rule = dict[str, str]


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def test_attempts_that_die_with_their_host(lone_server: LocalServer, tmp_path: Path) -> None:
    """The process engine's host is its runner, which is the parent of what it runs."""
    lost = {"onStatusReason": "Host EC2*"}
    rules = [
        [{**lost, "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}],
        [{**lost, "action": "EXIT"}],
    ]
    batch = BatchClient(lone_server.client("batch"), tmp_path)
    queue = batch.queue(vcpus=4)
    command = f"echo $PPID {batch.write('runners')}; {batch.held('go')}"
    saved, given_up = (
        batch.run(queue, command, retryStrategy={"attempts": 3, "evaluateOnExit": each})
        for each in rules
    )
    wait_for(lambda: len(batch.lines("runners")) == 2)
    (runner,) = set(batch.lines("runners"))
    for job_id in (saved, given_up):
        batch.until(job_id, "RUNNING")
    os.kill(int(runner), signal.SIGKILL)
    job = batch.failed(given_up)
    assert len(job["attempts"]) == 1
    assert re.fullmatch(r"Host EC2 \(instance i-[0-9a-f]{17}\) terminated\.", job["statusReason"])
    batch.release("go")
    (job,) = batch.succeeded(saved)
    first, second = job["attempts"]
    assert first["statusReason"].startswith("Host EC2") and "exitCode" not in first["container"]
    assert second["container"]["exitCode"] == 0


def test_a_retried_job_is_runnable_again(batch: BatchClient) -> None:
    """Seen where its environment takes nothing new meanwhile."""
    environment = batch.environment(vcpus=1)
    queue = batch.queue(environment=environment)
    command = f'{batch.held("go")}; [ "$AWS_BATCH_JOB_ATTEMPT" = 2 ]'
    job_id = batch.run(queue, command, retryStrategy={"attempts": 2})
    batch.until(job_id, "RUNNING")
    update = batch.client.update_compute_environment
    update(computeEnvironment=environment, state="DISABLED")
    batch.release("go")
    job = batch.until(job_id, "RUNNABLE")
    (attempt,) = job["attempts"]
    assert (attempt["container"]["exitCode"], attempt["statusReason"]) == (1, EXITED)
    assert "stoppedAt" not in job and environment in job["statusReason"]
    assert batch.listed(jobQueue=queue, jobStatus="RUNNABLE") == [job_id]
    update(computeEnvironment=environment, state="ENABLED")
    (job,) = batch.succeeded(job_id)
    assert len(job["attempts"]) == 2


@pytest.mark.parametrize(
    ("rules", "tries"),
    [
        ([{"onReason": "CannotStart*", "onStatusReason": "Task failed to start"}], 1),
        ([{"onReason": "CannotStartContainerError:"}], 2),
        ([{"onReason": "CannotStart*", "onStatusReason": "Essential*"}], 2),
        ([{"onReason": "CannotStart*", "onExitCode": "1*"}], 2),
        ([{"onReason": "CannotStart*", "action": "RETRY"}, {"onReason": "*"}], 2),
        ([{"onReason": "Other*", "action": "RETRY"}, {"onReason": "*"}], 1),
    ],
)
def test_the_first_rule_of_which_all_matches_decides(
    batch: BatchClient, rules: list[Rule], tries: int
) -> None:
    """Of a command that can't start: it has a reason, a status reason and no exit code."""
    strategy = {"attempts": 2, "evaluateOnExit": [{"action": "EXIT", **rule} for rule in rules]}
    name = batch.define("/no/such/program")
    job = batch.failed(batch.submit("default", name, retryStrategy=strategy))
    assert len(job["attempts"]) == tries
    assert "exitCode" not in job["container"]


def test_too_much_memory_ends_a_job_with_awss_words(batch: BatchClient) -> None:
    """So that rules on the reason can tell it from other ends, with all that a rule may name."""
    name = batch.define("sh", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' x); exec sleep 60",
                        memory="16")  # fmt: skip
    rules = [
        {"onReason": "OutOfMemoryError*", "onExitCode": "13", "action": "RETRY"},
        {"onReason": OUT_OF_MEMORY, "onExitCode": "13*", "onStatusReason": EXITED,
         "action": "EXIT"},
    ]  # fmt: skip
    job = batch.failed(
        batch.submit("default", name, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    )
    (attempt,) = job["attempts"]
    assert (attempt["container"]["reason"], attempt["statusReason"]) == (OUT_OF_MEMORY, EXITED)
    assert attempt["container"]["exitCode"] == 137


def test_what_a_strategy_may_say(batch: BatchClient) -> None:
    for attempts in (1, 10):
        batch.define("true", retryStrategy={"attempts": attempts})
    rule = {"onExitCode": "1", "action": "RETRY"}
    for strategy, words in (
        ({"attempts": 0}, "retryStrategy.attempts"),
        ({"attempts": 11}, "retryStrategy.attempts"),
        ({"attempts": 2, "evaluateOnExit": [rule] * 6}, "at most 5"),
        ({"attempts": 2, "evaluateOnExit": [{**rule, "onExitCode": "*1"}]}, "onExitCode"),
        ({"attempts": 2, "evaluateOnExit": [{**rule, "action": "STOP"}]}, "action"),
    ):
        with pytest.raises(ClientError, match=words):
            batch.run("default", "true", retryStrategy=strategy)
        with pytest.raises(ClientError, match=words):
            batch.define("true", retryStrategy=strategy)
