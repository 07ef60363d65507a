"""Multi-node jobs: nodes that start, end and are tried again together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient, wait_for

from tidemill.sdk.local import LocalServer

SIZE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def nodes(batch: BatchClient, count: int, main: str, other: str) -> str:
    name = batch.name("nodes")

    def container(command: str) -> dict[str, Any]:
        return {"image": "b", "command": ["sh", "-c", command], "resourceRequirements": SIZE}

    batch.client.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={
            "numNodes": count,
            "mainNode": 0,
            "nodeRangeProperties": [
                {"targetNodes": "0:0", "container": container(main)},
                {"targetNodes": "1:", "container": container(other)},
            ],
        },
    )
    return name


def test_nodes_run_together_and_end_with_the_main_one(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    tell = (
        'echo "$AWS_BATCH_JOB_NODE_INDEX $AWS_BATCH_JOB_NUM_NODES $AWS_BATCH_JOB_MAIN_NODE_INDEX'
        f' ${{AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS:-none}}" {batch.write("told")}'
    )
    name = nodes(batch, 3, f"{tell}; {batch.held('go')}", f"{tell}; exec sleep 60")
    job_id = batch.submit(queue, name)
    wait_for(lambda: len(batch.lines("told")) == 3)
    told = sorted(batch.lines("told"))
    assert told[0] == "0 3 0 none", "the address is for the others"
    assert [line.split()[:3] for line in told[1:]] == [["1", "3", "0"], ["2", "3", "0"]]
    assert all(line.split()[3] != "none" for line in told[1:])
    node = batch.describe(f"{job_id}#2")
    assert node["nodeDetails"] == {"nodeIndex": 2, "isMainNode": False}
    assert len(batch.listed(multiNodeJobId=job_id)) == 3
    batch.release("go")
    (job,) = batch.succeeded(job_id)
    assert job["nodeProperties"]["numNodes"] == 3


def test_a_node_that_fails_changes_nothing(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    name = nodes(batch, 2, batch.held("go"), "exit 3")
    job_id = batch.submit(queue, name, retryStrategy={"attempts": 3})
    batch.until(f"{job_id}#1", "FAILED")
    assert batch.describe(job_id)["status"] == "RUNNING"
    batch.release("go")
    (job,) = batch.succeeded(job_id)
    assert len(job["attempts"]) == 1


def test_a_main_node_that_fails_has_all_nodes_tried_again(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    number = '"$AWS_BATCH_JOB_NODE_INDEX $AWS_BATCH_JOB_ATTEMPT"'
    tell = f"echo {number} {batch.write('told')}"
    both = f'until [ $(grep -c " $AWS_BATCH_JOB_ATTEMPT$" {batch.folder / "told"}) = 2 ]'
    main = f'{tell}; {both}; do sleep 0.02; done; [ "$AWS_BATCH_JOB_ATTEMPT" = 3 ] || exit 7'
    name = nodes(batch, 2, main, f"{tell}; exec sleep 60")
    job_id = batch.submit(queue, name, retryStrategy={"attempts": 3})
    (job,) = batch.succeeded(job_id)
    assert [each["container"]["exitCode"] for each in job["attempts"]] == [7, 7, 0]
    assert sorted(batch.lines("told")) == ["0 1", "0 2", "0 3", "1 1", "1 2", "1 3"]
    assert len(batch.describe(f"{job_id}#1")["attempts"]) == 3


def test_rules_of_evaluate_on_exit_are_the_main_nodes(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    rules = [{"onExitCode": "7", "action": "EXIT"}]
    name = nodes(batch, 2, "exit 7", "exec sleep 60")
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    job = batch.failed(batch.submit(queue, name, retryStrategy=strategy))
    assert len(job["attempts"]) == 1


def test_the_number_of_nodes_may_be_overridden(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=8)
    count = f'echo "$AWS_BATCH_JOB_NUM_NODES" {batch.write("told")}'
    name = nodes(batch, 2, f"{count}; {batch.held('go')}", f"{count}; exec sleep 60")
    job_id = batch.submit(queue, name, nodeOverrides={"numNodes": 5})
    wait_for(lambda: batch.lines("told") == ["5"] * 5)
    batch.release("go")
    batch.succeeded(job_id)


def test_a_node_that_waits_says_for_what(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=2)
    blocker = batch.run(queue, batch.held("go"))
    batch.until(blocker, "RUNNING")
    job_id = batch.submit(queue, nodes(batch, 2, "true", "true"))
    for each in (job_id, f"{job_id}#1"):
        job = batch.describe(each)
        assert job["status"] == "RUNNABLE" and "needs 2 vCPU" in job["statusReason"]
    batch.release("go")
    batch.succeeded(job_id)


def test_a_timeout_covers_all_nodes(batch: BatchClient) -> None:
    name = nodes(batch, 2, "exec sleep 60", "exec sleep 60")
    job_id = batch.submit(
        batch.queue(vcpus=2), name, timeout={"attemptDurationSeconds": 1},
        retryStrategy={"attempts": 3},
    )  # fmt: skip
    job = batch.failed(job_id)
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["attempts"]) == 1
    assert batch.describe(f"{job_id}#1")["status"] == "FAILED"


def test_terminate_stops_all_nodes(batch: BatchClient) -> None:
    job_id = batch.submit(batch.queue(vcpus=2), nodes(batch, 2, "exec sleep 60", "exec sleep 60"))
    batch.until(f"{job_id}#1", "RUNNING")
    batch.client.terminate_job(jobId=job_id, reason="enough")
    job = batch.failed(job_id)
    assert job["statusReason"] == "enough" and job["isTerminated"]
    for node in (0, 1):
        assert batch.describe(f"{job_id}#{node}")["status"] == "FAILED"


def test_the_main_node_starts_first(batch: BatchClient) -> None:
    """One that can't start keeps the others from starting at all, try after try."""
    name = batch.name("nodes")
    container = {"image": "b", "resourceRequirements": SIZE}
    other = f"echo up {batch.write('others')}"
    ranges = [
        {"targetNodes": "0", "container": {**container, "command": ["sh", "-c", other]}},
        {"targetNodes": "1", "container": {**container, "command": ["/no/such/program"]}},
    ]
    batch.client.register_job_definition(
        jobDefinitionName=name,
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 1, "nodeRangeProperties": ranges},
    )
    queue = batch.queue(vcpus=2)
    job_id = batch.submit(queue, name, retryStrategy={"attempts": 2})
    job = batch.failed(job_id)
    assert len(job["attempts"]) == len(batch.describe(f"{job_id}#1")["attempts"]) == 2
    node = batch.describe(f"{job_id}#0")
    assert (node["status"], node["attempts"], batch.lines("others")) == ("FAILED", [], [])


def test_the_others_are_stopped_when_the_main_node_ends(batch: BatchClient) -> None:
    said = batch.write("said")
    wait = "while :; do sleep 0.02; done"
    other = f"trap 'echo term {said}; exit 3' TERM; echo up {said}; {wait}"
    name = nodes(batch, 3, batch.held("go"), other)
    job_id = batch.submit(batch.queue(vcpus=3), name)
    wait_for(lambda: batch.lines("said") == ["up", "up"])
    main, *others = (batch.until(f"{job_id}#{node}", "RUNNING") for node in range(3))
    assert all(main["startedAt"] <= node["startedAt"] for node in others)
    batch.release("go")
    batch.succeeded(job_id)
    assert batch.lines("said")[2:] == ["term", "term"]
    for each in (1, 2):
        node = batch.describe(f"{job_id}#{each}")
        assert node["statusReason"] == "The main node of the job has ended"
        assert (node["status"], node["container"]["exitCode"]) == ("FAILED", 3)
