"""A function's job definition: legal names, registered only when it differs."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tidemill.sdk import definition
from tidemill.sdk.client import Connection, is_aws
from tidemill.sdk.definition import Needs
from tidemill.sdk.project import Project


class Batch:
    """Answers as AWS does: with defaults that nobody gave."""

    def __init__(self) -> None:
        self.registered: list[dict[str, Any]] = []

    def register_job_definition(self, **request: Any) -> dict[str, Any]:
        revision = len(self.registered) + 1
        arn = f"arn:{request['jobDefinitionName']}:{revision}"
        container = request["containerProperties"] | {"environment": [], "volumes": []}
        filled = {"jobDefinitionArn": arn, "revision": revision, "containerProperties": container}
        self.registered.append(request | filled)
        return {"jobDefinitionArn": arn}

    def get_paginator(self, operation: str) -> Batch:
        assert operation == "describe_job_definitions"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        return [{"jobDefinitions": self.registered[::-1]}]


class Fake(Connection):
    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self._clients["batch"] = batch


def test_a_definition_is_registered_once_and_again_when_it_changes() -> None:
    batch = Batch()
    wanted = definition.definition_of("app:render", Needs(), Project())
    assert definition.arn(Fake(batch), wanted) == "arn:app-render:1"
    assert definition.arn(Fake(batch), wanted) == "arn:app-render:1"
    other = definition.definition_of("app:render", Needs(timeout_s=60), Project())
    assert definition.arn(Fake(batch), other) == "arn:app-render:2"
    assert definition.arn(Fake(batch), wanted) == "arn:app-render:3"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("app:render", "app-render"),
        ("shop.orders:Holder.send", "shop-orders-Holder-send"),
        ("/home/me/my script.py:go", "my-script-go"),
        ("m" * 200 + ":render", "m" * 121 + "-render"),
    ],
)
def test_names_are_legal_on_aws(reference: str, name: str) -> None:
    assert definition.name_of(reference) == name


def test_a_job_runs_the_submitters_interpreter_or_the_images() -> None:
    def command(place: Project) -> list[str]:
        made = definition.definition_of("app:render", Needs(), place)["containerProperties"]
        return list(made["command"])

    assert command(Project())[:4] == [sys.executable, "-m", "tidemill.sdk.worker", "app:render"]
    assert command(Project(image="me/app:1"))[0] == "python3"


def test_aws_is_told_from_a_server_of_ours() -> None:
    assert is_aws("https://batch.eu-west-1.amazonaws.com")
    assert not is_aws("http://127.0.0.1:5057")
    assert not is_aws("https://amazonaws.com.example.org")


def test_a_definition_is_another_without_the_role_that_it_had() -> None:
    batch = Batch()
    for place in (Project(image="a", job_role="arn:role"), Project(image="a"), Project(image="a")):
        definition.arn(Fake(batch), definition.definition_of("app:render", Needs(), place))
    assert [each["revision"] for each in batch.registered] == [1, 2]


def test_on_fargate_a_definition_says_so() -> None:
    place = Project(image="a", platform="FARGATE", public_ip=True)
    made = definition.definition_of("app:render", Needs(), place)
    assert made["platformCapabilities"] == ["FARGATE"]
    network = made["containerProperties"]["networkConfiguration"]
    assert network == {"assignPublicIp": "ENABLED"}
