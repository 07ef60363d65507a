"""Waiting for a job's end in one call: DescribeJobs with a header of ours."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer

LONG = "30"


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def ready_to_wait(server: LocalServer, seconds: str) -> Any:
    """A client that says how long it is ready to wait."""
    client = server.client("batch")

    def say(params: dict[str, Any], **_: Any) -> None:
        params["headers"]["X-Tidemill-Wait"] = seconds

    client.meta.events.register("before-call.batch.DescribeJobs", say)
    return client


def test_it_is_answered_once_one_has_ended(server: LocalServer, batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    held = batch.run(queue, batch.held("never"))
    array = batch.submit(queue, batch.define(*batch.held("array")), arrayProperties={"size": 2})
    patient = ready_to_wait(server, LONG)
    release = threading.Timer(0.2, batch.release, ["array"])
    release.start()
    jobs = patient.describe_jobs(jobs=[held, array])["jobs"]
    assert {job["jobId"]: job["status"] == "SUCCEEDED" for job in jobs} == {
        held: False,
        array: True,
    }
    batch.release("never")
    assert patient.describe_jobs(jobs=[held])["jobs"][0]["status"] == "SUCCEEDED"
    release.join()


def test_it_is_answered_at_once_where_nothing_is_to_come(
    server: LocalServer, batch: BatchClient
) -> None:
    queue = batch.queue()
    ended = batch.run(queue, "true")
    batch.succeeded(ended)
    held = batch.run(queue, batch.held("never"))
    patient = ready_to_wait(server, LONG)
    begun = time.monotonic()
    assert len(patient.describe_jobs(jobs=[held, ended])["jobs"]) == 2
    assert patient.describe_jobs(jobs=["00000000-0000-4000-8000-000000000000"])["jobs"] == []
    assert time.monotonic() - begun < float(LONG)
    batch.release("never")


def test_it_is_answered_after_the_time(server: LocalServer, batch: BatchClient) -> None:
    held = batch.run(batch.queue(), batch.held("never"))
    (job,) = ready_to_wait(server, "0.05").describe_jobs(jobs=[held])["jobs"]
    assert job["status"] != "SUCCEEDED"
    batch.release("never")


def test_the_header_must_be_a_number(server: LocalServer) -> None:
    with pytest.raises(ClientError, match="must be a number of seconds") as refusal:
        ready_to_wait(server, "soon").describe_jobs(jobs=["x"])
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
