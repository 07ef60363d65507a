"""ListJobs by state and by filter, its pages, and boto3's own paginators over what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_client import BatchClient
from botocore.exceptions import ClientError

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def test_without_a_status_what_runs_is_listed(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=1)
    running, waiting = (batch.run(queue, batch.held("go")) for _ in range(2))
    batch.until(running, "RUNNING")
    assert batch.listed(jobQueue=queue) == [running]
    assert batch.listed(jobQueue=queue, jobStatus="RUNNABLE") == [waiting]
    (shown,) = batch.client.list_jobs(jobQueue=queue, jobStatus="RUNNABLE")["jobSummaryList"]
    assert shown["statusReason"].startswith("CAPACITY:")
    batch.release("go")
    batch.succeeded(running, waiting)
    newest_first = batch.listed(
        jobQueue=queue, jobStatus="SUCCEEDED", PaginationConfig={"PageSize": 1}
    )
    assert newest_first == [waiting, running]
    (shown, _) = batch.client.list_jobs(jobQueue=queue, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert shown["container"] == {"exitCode": 0}


def test_a_filter_searches_all_states_and_leaves_children_out(batch: BatchClient) -> None:
    queue = batch.queue(vcpus=4)
    name = batch.define("true")
    one = batch.submit(queue, name, jobName="Report-1")
    many = batch.submit(queue, name, jobName="report-2", arrayProperties={"size": 2})
    other = batch.submit(queue, name, jobName="other")
    batch.succeeded(one, many, other)

    def filtered(kind: str, value: str) -> list[str]:
        return batch.listed(
            jobQueue=queue, jobStatus="FAILED", filters=[{"name": kind, "values": [value]}]
        )

    assert filtered("JOB_NAME", "report-1") == [one]
    assert filtered("JOB_NAME", "REPORT*") == [many, one]
    assert filtered("JOB_DEFINITION", name) == [other, many, one]
    assert filtered("JOB_DEFINITION", name[:-1]) == []
    assert filtered("JOB_DEFINITION", f"{name[:-1]}*") == [other, many, one]
    created = batch.describe(many)["createdAt"]
    assert set(filtered("AFTER_CREATED_AT", str(created - 1))) >= {other, many}
    assert many not in filtered("BEFORE_CREATED_AT", str(created))


def test_exactly_one_place_is_listed(batch: BatchClient) -> None:
    for params in ({}, {"jobQueue": "default", "arrayJobId": "x"}):
        with pytest.raises(ClientError, match="Exactly one"):
            batch.client.list_jobs(**params)
    with pytest.raises(ClientError, match="not found"):
        batch.client.list_jobs(arrayJobId="x")


def test_definitions_come_in_pages(batch: BatchClient) -> None:
    name = batch.define("true")
    for _ in range(4):
        batch.define("true", jobDefinitionName=name)
    pages = batch.client.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=name, status="ACTIVE", PaginationConfig={"PageSize": 2}
    )
    found = [each["revision"] for page in pages for each in page["jobDefinitions"]]
    assert found == [5, 4, 3, 2, 1]


def test_one_filter_at_a_time_and_shares_by_state(batch: BatchClient) -> None:
    policy = batch.client.create_scheduling_policy(name=batch.name(), fairsharePolicy={})["arn"]
    queue = batch.queue(vcpus=1, schedulingPolicyArn=policy)
    running = batch.run(queue, batch.held("go"), shareIdentifier="a")
    batch.until(running, "RUNNING")
    waiting = batch.run(queue, "true", shareIdentifier="a")
    batch.run(queue, "true", shareIdentifier="b")
    share = {"name": "SHARE_IDENTIFIER", "values": ["a"]}
    assert batch.listed(jobQueue=queue, filters=[share]) == [waiting, running]
    assert batch.listed(jobQueue=queue, filters=[share], jobStatus="RUNNABLE") == [waiting]
    with pytest.raises(ClientError, match="one filter"):
        batch.client.list_jobs(
            jobQueue=queue, filters=[share, {"name": "JOB_NAME", "values": ["job"]}]
        )
    batch.release("go")
    batch.succeeded(running, waiting)
