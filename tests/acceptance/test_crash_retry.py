"""A server that dies between a call and its reply: boto3 calls again, and nothing is done twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config
from crash_lab import DEADLINE_S, FIRST, IS_LONG, SEEDS, CrashLab, crash_lab
from crash_proxy import Proxy, proxy

SUBMITTERS = 6
CALLERS = SUBMITTERS + 2
RETRIES = Config(
    retries={"mode": "standard", "total_max_attempts": 8}, max_pool_connections=CALLERS
)
TRUE = {
    "image": "busybox",
    "command": ["true"],
    "resourceRequirements": [
        {"type": "VCPU", "value": "1"},
        {"type": "MEMORY", "value": "16"},
    ],
}


def _replied(lab: CrashLab, between: Proxy) -> None:
    """The server has replied, to one call at least, and nobody has heard it."""
    _asked(lab, between)
    assert between.swallowed.acquire(timeout=DEADLINE_S)


def _midway(lab: CrashLab, between: Proxy) -> None:
    """The server is somewhere between reading and replying."""
    _asked(lab, between)
    lab.pause(0.01)


def _asked(lab: CrashLab, between: Proxy) -> None:
    for _ in range(CALLERS):
        assert between.forwarded.acquire(timeout=DEADLINE_S)


ROUNDS = (_replied, _midway) * (3 if IS_LONG else 1)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_a_reply_that_was_lost_does_nothing_twice(seed: int) -> None:
    with crash_lab(seed) as lab, proxy(lab.port) as between, ThreadPoolExecutor(CALLERS) as pool:
        batch = lab.batch
        queue, definition = batch.queue(4), lab.define("once", "", memory="16")
        client = lab.server.session.client("batch", endpoint_url=between.endpoint, config=RETRIES)
        submitted: dict[str, str] = {}

        def submit(name: str) -> None:
            params = {"jobName": name, "jobQueue": queue, "jobDefinition": definition}
            submitted[name] = client.submit_job(**params)["jobId"]

        for number, moment in enumerate(ROUNDS, 1):
            between.cut()
            calls = [
                *(pool.submit(submit, f"round-{number}-{i}") for i in range(SUBMITTERS)),
                pool.submit(_create, client, f"round-{number}"),
                pool.submit(_register, client),
            ]
            moment(lab, between)
            lab.kill_server()
            between.mend()
            lab.start()
            *_, revision = [call.result(DEADLINE_S) for call in calls]
            assert revision == number
        client.close()
        assert len(submitted) == SUBMITTERS * len(ROUNDS)
        for name, job_id in submitted.items():
            assert _listed(batch.client, queue, name) == [job_id]
            batch.succeeded(job_id)
        assert set(lab.witness.read().attempts) == {(job_id, 1) for job_id in submitted.values()}


def _create(client: Any, name: str) -> None:
    """A name can be taken once: done twice, this is refused."""
    client.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED")


def _register(client: Any) -> int:
    """Each registration makes a revision; its number."""
    answer = client.register_job_definition(
        jobDefinitionName="counted", type="container", containerProperties=TRUE
    )
    return int(answer["revision"])


def _listed(client: Any, queue: str, name: str) -> list[str]:
    filters = [{"name": "JOB_NAME", "values": [name]}]
    found = client.list_jobs(jobQueue=queue, filters=filters)
    return [job["jobId"] for job in found["jobSummaryList"]]
