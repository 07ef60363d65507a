"""SubmitJob: names and ARNs, parameters, overrides, what a job is told, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError, ConnectionClosedError

from tidemill.sdk.local import LocalServer


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> BatchClient:
    return BatchClient(server.client("batch"), tmp_path)


def refused(call: Any, **params: Any) -> str:
    """The message with which a call is refused; it must be ClientException."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert caught.value.response["Error"]["Code"] == "ClientException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(caught.value.response["Error"]["Message"])


def test_the_first_start_made_a_place_to_run(batch: BatchClient) -> None:
    batch.succeeded(batch.run("default", "true"))


def test_definitions_go_by_name_revision_and_arn(batch: BatchClient) -> None:
    name = batch.define("true")
    queue = batch.client.describe_job_queues(jobQueues=["default"])["jobQueues"][0]["jobQueueArn"]
    batch.define("true", jobDefinitionName=name)
    found = batch.client.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    arns = {each["revision"]: each["jobDefinitionArn"] for each in found}
    for text, revision in (
        (name, 2),
        (f"{name}:1", 1),
        (arns[1], 1),
        (arns[1].rpartition(":")[0], 2),
    ):
        job = batch.describe(batch.submit(queue, text))
        assert job["jobDefinition"] == arns[revision]
    batch.client.deregister_job_definition(jobDefinition=f"{name}:2")
    assert batch.describe(batch.submit(queue, name))["jobDefinition"] == arns[1]
    again = batch.client.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={"image": "busybox", "vcpus": 1, "memory": 64},
    )
    assert again["revision"] == 3, "a number is never given twice"
    message = refused(
        batch.client.submit_job, jobName="j", jobQueue="default", jobDefinition=f"{name}:2"
    )
    assert "not ACTIVE" in message


def test_parameters_and_overrides_reach_the_job(batch: BatchClient) -> None:
    words = batch.folder / "words"
    name = batch.define(
        *("sh", "-c", f'echo "$0 $1 $A $B $C" > {words}', "Ref::first", "--x=Ref::second"),
        parameters={"first": "one", "second": "two"},
        container={"environment": [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}]},
    )
    job_id = batch.submit(
        "default",
        name,
        parameters={"second": "2"},
        containerOverrides={
            "environment": [{"name": "B", "value": "B"}, {"name": "C", "value": "C"}],
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}],
        },
        tags={"team": "blue"},
    )
    (job,) = batch.succeeded(job_id)
    assert words.read_text() == "one --x=2 a B C\n"
    assert job["parameters"] == {"first": "one", "second": "2"}
    assert {"type": "VCPU", "value": "0.25"} in job["container"]["resourceRequirements"]
    assert job["tags"] == {"team": "blue"}


def test_what_a_job_is_told_by_its_environment(batch: BatchClient) -> None:
    queue = batch.queue()
    told = batch.folder / "told"
    job_id = batch.run(queue, f"env | grep ^AWS_BATCH > {told}.$AWS_BATCH_JOB_ATTEMPT; exit 1",
                       retryStrategy={"attempts": 2})  # fmt: skip
    batch.failed(job_id)
    environment = batch.client.describe_job_queues(jobQueues=[queue])["jobQueues"][0][
        "computeEnvironmentOrder"
    ][0]["computeEnvironment"].rpartition("/")[2]
    for attempt in ("1", "2"):
        lines = Path(f"{told}.{attempt}").read_text().splitlines()
        assert dict(line.split("=", 1) for line in lines) == {
            "AWS_BATCH_JOB_ID": job_id,
            "AWS_BATCH_JOB_ATTEMPT": attempt,
            "AWS_BATCH_JQ_NAME": queue,
            "AWS_BATCH_CE_NAME": environment,
        }


def test_credentials_are_given_but_never_shown(batch: BatchClient) -> None:
    job_id = batch.run("default", 'test -n "$AWS_ENDPOINT_URL" && test -n "$AWS_REGION"')
    (job,) = batch.succeeded(job_id)
    assert job["container"]["environment"] == []


def test_what_is_wrong_is_refused_by_its_name(batch: BatchClient) -> None:
    name = batch.define("true")
    base = {"jobName": "j", "jobQueue": "default", "jobDefinition": name}
    for members, words in (
        ({"jobName": "-"}, "jobName"),
        ({"jobQueue": "nowhere"}, "nowhere not found"),
        ({"jobDefinition": "nothing"}, "nothing not found"),
        ({"arrayProperties": {"size": 1}}, "arrayProperties.size"),
        ({"retryStrategy": {"attempts": 11}}, "retryStrategy.attempts"),
        ({"timeout": {"attemptDurationSeconds": 0}}, "attemptDurationSeconds"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "at most 20"),
        ({"dependsOn": [{"jobId": "11111111-2222-3333-4444-555555555555"}]}, "dependsOn"),
        (
            {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}},
            "AWS_BATCH",
        ),
        ({"shareIdentifier": "a"}, "shareIdentifier"),
    ):
        assert words in refused(batch.client.submit_job, **{**base, **members}), members


def test_secrets_are_registered_and_refused_at_submission(batch: BatchClient) -> None:
    secret = {"name": "TOKEN", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/token"}
    name = batch.define("true", container={"secrets": [secret]})
    (shown,) = batch.client.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    assert shown["containerProperties"]["secrets"] == [secret]
    params = {"jobName": "j", "jobQueue": "default", "jobDefinition": name}
    assert "secrets (TOKEN) can't be looked up" in refused(batch.client.submit_job, **params)


def test_an_ecs_container_runs_as_any_other(batch: BatchClient) -> None:
    size = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    container = {
        "image": "busybox",
        "command": ["sh", "-c", "exit 4"],
        "resourceRequirements": size,
    }
    name = batch.name()
    batch.client.register_job_definition(
        jobDefinitionName=name,
        type="container",
        ecsProperties={"taskProperties": [{"containers": [container]}]},
    )
    job = batch.failed(batch.submit("default", name))
    (shown,) = job["ecsProperties"]["taskProperties"][0]["containers"]
    assert shown["exitCode"] == 4 and shown["logStreamName"]
    (ended,) = job["attempts"][0]["taskProperties"][0]["containers"]
    assert ended["exitCode"] == 4


def test_a_lost_reply_never_submits_twice(batch: BatchClient) -> None:
    """boto3 sends a call again under the same invocation id when no reply comes."""
    queue = batch.queue()
    name = batch.define("true")
    client = batch.client
    sent: list[str] = []

    def lose_the_first_reply(request: AWSPreparedRequest, **_: Any) -> None:
        sent.append(request.headers["amz-sdk-invocation-id"].decode())
        if len(sent) == 1:
            assert client._endpoint.http_session.send(request).status_code == 200
            raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register("before-send.batch.SubmitJob", lose_the_first_reply)
    job_id = batch.submit(queue, name)
    client.meta.events.unregister("before-send.batch.SubmitJob", lose_the_first_reply)
    assert len(sent) == 2 and sent[0] == sent[1]
    batch.succeeded(job_id)
    assert batch.listed(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["*"]}]) == [job_id]


def test_an_invocation_id_used_for_another_operation_is_another_call(batch: BatchClient) -> None:
    """No SDK does so, but a reply of the wrong shape would be taken for success."""

    def repeat(request: AWSPreparedRequest, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = "all-one"
        request.headers["amz-sdk-request"] = "attempt=2"

    queue, definition = batch.queue(), batch.define("sleep", "60")
    batch.client.meta.events.register("before-send.batch", repeat)
    job_id = batch.submit(queue, definition)
    assert batch.submit(queue, definition) == job_id
    batch.client.terminate_job(jobId=job_id, reason="Not needed.")
    batch.client.meta.events.unregister("before-send.batch", repeat)
    assert batch.failed(job_id)["statusReason"] == "Not needed."


def test_actions_are_not_case_sensitive(batch: BatchClient) -> None:
    strategy = {"attempts": 3, "evaluateOnExit": [{"action": "exit", "onExitCode": "7"}]}
    job = batch.failed(batch.run("default", "exit 7", retryStrategy=strategy))
    assert len(job["attempts"]) == 1
    assert job["retryStrategy"]["evaluateOnExit"][0]["action"] == "EXIT"


def test_what_is_not_offered_says_so(batch: BatchClient) -> None:
    message = refused(batch.client.describe_service_environments)
    assert "DescribeServiceEnvironments is not part of Tidemill" in message
