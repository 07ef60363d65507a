"""The AWS calls of the library: which its source makes, which a program made, and a place to make
them that is not ours: moto, behind AWS's own host names."""

from __future__ import annotations

import ast
import contextlib
import json
import logging
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

from tidemill.sdk.client import Connection

SERVICES = ("batch", "logs", "s3", "sts")
SOURCE = Path(__file__).parents[2] / "src" / "tidemill"
REGION = "eu-central-1"
ACCOUNT = "123456789012"


@cache
def operations() -> dict[str, str]:
    """Each operation of the services that the library uses, `batch SubmitJob`, by boto3's name."""
    session = botocore.session.get_session()
    return {
        xform_name(operation): f"{service} {operation}"
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }


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
    return found


@dataclass
class Record:
    """What was called: the names of the parameters that were given, by operation."""

    made: dict[str, set[str]] = field(default_factory=dict)

    def note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """From boto3's event `provide-client-params`."""
        name = f"{model.service_model.service_name} {model.name}"
        self.made.setdefault(name, set()).update(params)


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
    return session


def furnish(connection: Connection) -> None:
    """What a team has on AWS before its first job: a queue over a compute environment."""
    iam = connection.session.client("iam")
    role = iam.create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    batch = connection.client("batch")
    batch.create_compute_environment(
        computeEnvironmentName="team", type="UNMANAGED", state="ENABLED", serviceRole=role
    )
    batch.create_job_queue(
        jobQueueName="default",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "team"}],
    )
    iam.close()
