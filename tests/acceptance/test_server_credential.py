"""Credentials that jobs are given: they work for any AWS client in the job, and end with it."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
import pytest
from batch_client import BatchClient
from shell import until

from tidemill.sdk.local import LocalServer, local

SCRIPT = """
import boto3, json, os, time
from pathlib import Path
identity = boto3.client("sts").get_caller_identity()
s3 = boto3.client("s3")
s3.put_object(Bucket="results", Key="from-the-job", Body=b"made inside")
keys = boto3.session.Session().get_credentials()
frozen = keys.get_frozen_credentials()
Path({told!r}).write_text(json.dumps(dict(
    account=identity["Account"],
    method=keys.method,
    keys=list(frozen),
    uri=os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
    token=os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"],
    fixed=[name for name in os.environ if name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")],
)))
while not Path({gate!r}).exists():
    time.sleep(0.02)  # polls
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with local() as started:
        yield started


@pytest.fixture
def batch(server: LocalServer, tmp_path: Path) -> Iterator[BatchClient]:
    client = server.client("batch")
    yield BatchClient(client, tmp_path)
    client.close()


def credentials(uri: str, token: str) -> tuple[int, dict[str, Any]]:
    """What the container credentials endpoint answers."""
    place = urlsplit(uri)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request("GET", place.path, headers={"Authorization": token})
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_a_job_calls_aws_with_credentials_that_end_with_it(
    server: LocalServer, batch: BatchClient, tmp_path: Path
) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="results")
    told, gate = tmp_path / "told", tmp_path / "gate"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(told=str(told), gate=str(gate)))
    nowhere = [{"name": "AWS_CONFIG_FILE", "value": str(tmp_path / "none")}]
    definition = batch.define(sys.executable, str(script), container={"environment": nowhere})
    job = batch.client.submit_job(jobName="job", jobQueue="default", jobDefinition=definition)
    job_id = job["jobId"]
    until(lambda: told.exists() and told.read_text().endswith("}"), "the job has told")
    said = json.loads(told.read_text())

    assert said["account"] == "000000000000"
    assert said["method"] == "container-role", "by the endpoint that renews them"
    assert said["fixed"] == []
    assert s3.get_object(Bucket="results", Key="from-the-job")["Body"].read() == b"made inside"

    status, issued = credentials(said["uri"], said["token"])
    assert status == 200
    assert issued["AccessKeyId"].startswith("ASIA")
    detail = batch.client.describe_jobs(jobs=[job_id])
    secrets = [*said["keys"][:3], said["token"], issued["SecretAccessKey"], issued["Token"]]
    shown = json.dumps(detail)
    assert not [secret for secret in secrets if secret in shown], "DescribeJobs shows no key"
    assert "AWS_CONTAINER" not in shown

    gate.touch()
    until(lambda: _status(batch, job_id) == "SUCCEEDED", "the job has ended")
    status, refusal = credentials(said["uri"], said["token"])
    assert status == 403
    assert "has ended" in refusal["message"]
    assert not {"AccessKeyId", "Token"} & set(refusal)


def _status(batch: BatchClient, job_id: str) -> str:
    [job] = batch.client.describe_jobs(jobs=[job_id])["jobs"]
    return str(job["status"])


@pytest.mark.parametrize(
    "token", ["", "nonsense", "attempt Zm9yZ2Vk", "\u00e9", "a" * 5000, "' OR 1=1 --"]
)
def test_a_token_of_somebody_else_is_refused(server: LocalServer, token: str) -> None:
    status, refusal = credentials(f"{server.endpoint}/_tidemill/credentials", token)
    assert status == 403
    assert list(refusal) == ["message"]


def test_a_tampered_session_token_is_refused(server: LocalServer) -> None:
    sts = server.client("sts")
    made = sts.get_session_token(DurationSeconds=900)["Credentials"]
    token = made["SessionToken"]
    for forged in (token[:-4] + "AAAA", "A" * len(token), token[4:], ""):
        session = boto3.session.Session(
            made["AccessKeyId"], made["SecretAccessKey"], forged or None, region_name=server.region
        )
        client = session.client("sts", endpoint_url=server.endpoint)
        with pytest.raises(botocore.exceptions.ClientError) as refusal:
            client.get_caller_identity()
        client.close()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    sts.close()


@pytest.mark.parametrize("service", ["batch", "s3", "logs", "sts"])
def test_another_region_is_named_beside_ours(server: LocalServer, service: str) -> None:
    session = boto3.session.Session(
        server.access_key_id, server.secret_access_key, region_name="eu-central-1"
    )
    client = session.client(service, endpoint_url=server.endpoint)
    calls = {
        "batch": lambda: client.describe_job_queues(),
        "s3": lambda: client.list_buckets(),
        "logs": lambda: client.describe_log_groups(),
        "sts": lambda: client.get_caller_identity(),
    }
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        calls[service]()
    client.close()
    message = refusal.value.response["Error"]["Message"]
    assert "eu-central-1" in message
    assert "us-east-1" in message
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500


LARGE = 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("target", "is_signed", "code"),
    [
        ("PUT /results/large", False, "AccessDenied"),
        ("PUT /results/large", True, "SignatureDoesNotMatch"),
        ("POST /v1/submitjob", False, "missing Authentication Token"),
        ("POST /_tidemill/stop", False, "missing Authentication Token"),
    ],
)
def test_a_large_body_is_taken_from_nobody_without_a_key(
    target: str, is_signed: bool, code: str, server: LocalServer
) -> None:
    """It is refused by its head; whoever reaches the port could fill the disk otherwise."""
    method, _, path = target.partition(" ")
    place = urlsplit(server.endpoint)
    opened = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    with closing(opened) as connection:
        connection.putrequest(method, path)
        connection.putheader("content-length", str(LARGE))
        if is_signed:
            _sign_wrongly(connection, server)
        connection.endheaders(bytes(2 * 1024 * 1024))  # the rest never comes
        response = connection.getresponse()
        assert response.status == 403
        assert code in response.read().decode()
    assert list((server.data / "spool").iterdir()) == []


def _sign_wrongly(connection: http.client.HTTPConnection, server: LocalServer) -> None:
    now = datetime.now(UTC)
    credential = f"{server.access_key_id}/{now:%Y%m%d}/{server.region}/s3/aws4_request"
    connection.putheader("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    connection.putheader("x-amz-date", f"{now:%Y%m%dT%H%M%SZ}")
    connection.putheader(
        "authorization",
        f"AWS4-HMAC-SHA256 Credential={credential}, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
    )


@pytest.mark.parametrize("path", ["stop", "backup", "nothing", ""])
def test_administration_takes_the_servers_own_key(server: LocalServer, path: str) -> None:
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request("POST", f"/_tidemill/{path}", body=b"{}")
    assert connection.getresponse().status in {403, 404}
    connection.close()


def test_a_job_can_not_stop_the_server(server: LocalServer, batch: BatchClient) -> None:
    """Temporary credentials reach AWS's APIs, never the server's own administration."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    sts = server.client("sts")
    made = sts.get_session_token(DurationSeconds=900)["Credentials"]
    sts.close()
    request = AWSRequest("POST", f"{server.endpoint}/_tidemill/stop", data=b"{}")
    keys = Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    SigV4Auth(keys, "tidemill", server.region).add_auth(request)
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request("POST", "/_tidemill/stop", b"{}", dict(request.headers.items()))
    assert connection.getresponse().status == 403
    connection.close()
    assert batch.client.describe_job_queues()["jobQueues"]
