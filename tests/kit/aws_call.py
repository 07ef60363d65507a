"""The AWS calls of the library: which its source makes, which a program made, and a place to make
them that is not ours: moto, behind AWS's own host names."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import logging
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSResponse

from tidemill.sdk.client import Connection

SUBMITTER, JOB, COMMAND = "By who submits, waits and looks", "By a job", "By the commands"
SERVICES = ("batch", "logs", "s3", "sts")
IAM_ACTIONS = {
    "s3 ListObjectsV2": "s3:ListBucket",
    "s3 HeadBucket": "s3:ListBucket",
    "s3 HeadObject": "s3:GetObject",
    "s3 GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3 PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3 CreateMultipartUpload": "s3:PutObject",
    "s3 UploadPart": "s3:PutObject",
    "s3 CompleteMultipartUpload": "s3:PutObject",
}
GUIDE = Path(__file__).parents[2] / "docs" / "sdk-on-aws.md"
_FLAGS = re.MULTILINE | re.DOTALL
SOURCE = Path(__file__).parents[2] / "src" / "tidemill"
REGION = "eu-central-1"
ACCOUNT = "123456789012"


TRANSFERS = {
    name: [f"s3 {operation}" for operation in made]
    for names, made in {
        ("upload_file", "upload_fileobj"): (
            *("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
            "AbortMultipartUpload",
        ),
        ("download_file", "download_fileobj"): ("HeadObject", "GetObject"),
    }.items()
    for name in names
}
"""What boto3's managed transfers call."""


@cache
def operations() -> dict[str, str]:
    """Each operation, `batch SubmitJob`, by boto3's name; of two services with one, the first's."""
    session = botocore.session.get_session()
    found: dict[str, str] = {}
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(operation), f"{service} {operation}")
    return found


def calls_in(folder: str) -> set[str]:
    """The operations that the source below `folder` of `tidemill` calls, or paginates."""
    found: set[str] = set()
    for path in (SOURCE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names = [node.func.attr]
                if node.func.attr == "get_paginator":
                    names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                found |= {operations()[name] for name in names if name in operations()}
                found |= {call for name in names for call in TRANSFERS.get(name, ())}
    return found


def section(heading: str) -> str:
    """What stands in docs/sdk-on-aws.md below a heading of the third level."""
    found = re.search(rf"^### {heading}$(.+?)(?=^##|\Z)", GUIDE.read_text("utf-8"), _FLAGS)
    assert found, f"{GUIDE.name} has no section {heading!r}"
    return found[1]


def table(heading: str) -> dict[str, set[str]]:
    """The parameters of each call in that section's table."""
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\|", section(heading), re.MULTILINE)
    return {call: set(re.findall(r"`(\w+)`", parameters)) for call, parameters in rows}


def policy(heading: str) -> set[str]:
    """The actions that the policy in that section allows; it allows and nothing else."""
    [text] = re.findall(r"```json\n(.+?)```", section(heading), re.DOTALL)
    statements = json.loads(text)["Statement"]
    assert {each["Effect"] for each in statements} == {"Allow"}
    actions = [each["Action"] for each in statements]
    return {one for each in actions for one in ([each] if isinstance(each, str) else each)}


def actions_for(made: dict[str, set[str]]) -> set[str]:
    """The IAM actions that these calls need.

    Source: AWS Service Authorization Reference, Batch, S3 and CloudWatch Logs.
    """
    needed = {
        IAM_ACTIONS.get(call, call.replace(" ", ":"))
        for call in made
        if call != "sts GetCallerIdentity"
    }
    if "tags" in made.get("batch SubmitJob", ()):
        needed.add("batch:TagResource")
    if "batch RegisterJobDefinition" in made:
        needed.add("iam:PassRole")
    return needed


@dataclass
class Record:
    """What was called: the names of the parameters that were given, by operation."""

    made: dict[str, set[str]] = field(default_factory=dict)

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """From boto3's event `provide-client-params`."""
        name = f"{model.service_model.service_name} {model.name}"
        self.made.setdefault(name, set()).update(params)

    def add(self, other: Record) -> None:
        """Take in another record."""
        for name, parameters in other.made.items():
            self.made.setdefault(name, set()).update(parameters)


class Switch:
    """Puts the calls of all clients of a session into one record, and meanwhile into another."""

    def __init__(self, session: boto3.session.Session, record: Record) -> None:
        self._record = record
        session.events.register("provide-client-params.*.*", self._note)

    def _note(self, **event: Any) -> None:
        self._record.note(**event)

    @contextlib.contextmanager
    def to(self, record: Record) -> Iterator[None]:
        """Into this record for a `with` block."""
        before, self._record = self._record, record
        try:
            yield
        finally:
            self._record = before


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """The URL of a moto server in this process, whose Batch runs nothing and says SUCCEEDED."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        _tell(f"{url}/moto-api/config", {"batch": {"use_docker": False}})
        yield url
    finally:
        server.stop()


def fail(job_id: str, index: int) -> None:
    """Let a job of `moto`, or a child of an array and the array, be one that has failed."""
    from moto.batch.models import batch_backends

    job = batch_backends[ACCOUNT][REGION]._jobs[job_id]
    for each in (job, *(job._child_jobs or ())[index : index + 1]):
        each.status = "FAILED"


def _tell(url: str, content: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    urllib.request.urlopen(request, timeout=30).close()


def session_on(url: str) -> boto3.session.Session:
    """A session that speaks to AWS's own host names, and is carried to `url`."""
    session = boto3.session.Session("AKIDEXAMPLE", "secret", region_name=REGION)

    def carry(request: Any, **_: Any) -> None:
        place = urlsplit(request.url)
        request.headers["Host"] = place.netloc
        request.url = url + request.url.removeprefix(f"{place.scheme}://{place.netloc}")

    session.events.register("before-send.*.*", carry)
    Consumables().stand_in(session)
    return session


class Consumables:
    """Batch's consumable resources, which moto 5.2 answers by 404; only what the library reads.

    That the calls are right is botocore's word: it checks parameters by AWS's model before it
    sends any.
    """

    def __init__(self) -> None:
        self.total: dict[str, int] = {}

    def stand_in(self, session: boto3.session.Session) -> None:
        """Answer these calls of the session's clients."""
        for operation in ("Create", "Describe", "Update"):
            event = f"before-send.batch.{operation}ConsumableResource"
            session.events.register_first(event, self._answer)

    def _answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse:
        given = json.loads(request.body)
        name = given.get("consumableResourceName") or given["consumableResource"]
        operation = event_name.rpartition(".")[2]
        if operation == "CreateConsumableResource":
            self.total[name] = given["totalQuantity"]
        elif name not in self.total:
            error = {"x-amzn-errortype": "ClientException"}
            return AWSResponse(request.url, 400, error, _Raw(b'{"message": "There is none."}'))
        elif operation == "UpdateConsumableResource":
            assert given["operation"] == "SET"
            self.total[name] = given["quantity"]
        content = {"consumableResourceName": name, "totalQuantity": self.total[name]}
        return AWSResponse(request.url, 200, {}, _Raw(json.dumps(content).encode()))


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def furnish(connection: Connection) -> None:
    """What a team has on AWS before its first job: a queue over a compute environment."""
    iam = connection.session.client("iam")
    role = iam.create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch = connection.client("batch")
    batch.create_compute_environment(
        computeEnvironmentName="team", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    for name in ("default", "fair"):
        batch.create_job_queue(
            jobQueueName=name,
            state="ENABLED",
            priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "team"}],
        )
    iam.close()
