"""The output of a real job, read and searched by boto3 while it runs and afterwards."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/batch/job"
Client = Callable[[str], Any]


def submit(client: Client, *command: str) -> str:
    batch = client("batch")
    name = f"logs-{uuid.uuid4().hex}"
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "none",
            "command": list(command),
            "resourceRequirements": [
                {"type": "VCPU", "value": "0.25"},
                {"type": "MEMORY", "value": "64"},
            ],
        },
    )
    return str(batch.submit_job(jobName=name, jobQueue="default", jobDefinition=name)["jobId"])


def finished(client: Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (job,) = client("batch").describe_jobs(jobs=[job_id])["jobs"]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return dict(job)
        time.sleep(0.02)  # polls
    raise AssertionError(f"{job_id} has not ended")


@pytest.fixture
def stream(client: Client) -> str:
    """The stream of a job that printed 200 lines and an error."""
    script = "for i in $(seq 200); do echo line $i; done; echo 'ERROR: disk \"full\"' >&2"
    job = finished(client, submit(client, "sh", "-c", script))
    return str(job["container"]["logStreamName"])


def test_output_is_read_forward_and_backward_in_pages(client: Client, stream: str) -> None:
    logs = client("logs")
    lines: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, limit=60, **token
        )
        lines += [event["message"] for event in page["events"]]
        if page["nextForwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": page["nextForwardToken"]}
    expected = [f"line {i}" for i in range(1, 201)]
    assert [line for line in lines if line.startswith("line")] == expected
    assert 'ERROR: disk "full"' in lines
    last = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=5)
    assert [event["message"] for event in last["events"]] == lines[-5:]
    before = logs.get_log_events(
        logGroupName=GROUP, logStreamName=stream, limit=5, nextToken=last["nextBackwardToken"]
    )
    assert [event["message"] for event in before["events"]] == lines[-10:-5]


def test_output_is_searched_by_pattern_and_stream(client: Client, stream: str) -> None:
    logs = client("logs")
    search = logs.get_paginator("filter_log_events")

    def found(pattern: str) -> list[str]:
        pages = search.paginate(
            logGroupName=GROUP,
            logStreamNames=[stream],
            filterPattern=pattern,
            PaginationConfig={"PageSize": 7},
        )
        return [event["message"] for page in pages for event in page["events"]]

    assert found("ERROR -line") == ['ERROR: disk "full"']
    assert len(found('"line 1"')) == 111
    prefix = stream.rpartition("/")[0]
    pages = search.paginate(logGroupName=GROUP, logStreamNamePrefix=prefix)
    assert len([event for page in pages for event in page["events"]]) == 201


def test_the_stream_and_its_group_are_described(client: Client, stream: str) -> None:
    logs = client("logs")
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/batch")
    assert GROUP in {group["logGroupName"] for page in groups for group in page["logGroups"]}
    (described,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=stream)[
        "logStreams"
    ]
    assert described["logStreamName"] == stream
    assert described["lastEventTimestamp"] >= described["firstEventTimestamp"]
    newest = logs.describe_log_streams(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=50
    )
    assert stream in {entry["logStreamName"] for entry in newest["logStreams"]}


def test_a_running_jobs_output_is_followed(client: Client, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    script = f"echo first; while [ ! -e {gate} ]; do sleep 0.01; done; echo second"
    job_id = submit(client, "sh", "-c", script)
    logs, batch = client("logs"), client("batch")

    def follow(wanted: str, **token: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
            if stream := job["container"].get("logStreamName"):
                try:
                    page = logs.get_log_events(
                        logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token
                    )
                except logs.exceptions.ResourceNotFoundException:
                    continue
                if [event["message"] for event in page["events"]] == [wanted]:
                    return dict(page)
            time.sleep(0.02)  # polls
        raise AssertionError(f"{wanted!r} was not seen")

    first = follow("first")
    gate.touch()
    follow("second", nextToken=first["nextForwardToken"])
    assert finished(client, job_id)["status"] == "SUCCEEDED"


def test_retention_and_tags_of_a_group(client: Client) -> None:
    logs, name = client("logs"), f"/test/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=name, tags={"team": "blue"})
    logs.put_retention_policy(logGroupName=name, retentionInDays=3)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["retentionInDays"] == 3
    assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"team": "blue"}
    logs.delete_log_group(logGroupName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []


def test_what_does_not_exist_has_awss_words(client: Client) -> None:
    with pytest.raises(ClientError) as caught:
        client("logs").get_log_events(logGroupName=GROUP, logStreamName="nobody")
    assert caught.value.response["Error"] == {
        "Code": "ResourceNotFoundException",
        "Message": "The specified log stream does not exist.",
    }
