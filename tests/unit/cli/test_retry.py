"""A job as DescribeJobs tells it, made into the request that submits it again."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli import job as jobs
from tidemill.cli.retry import _obstacle, request_of

DETAIL: dict[str, Any] = {
    "jobId": "old",
    "jobName": "n",
    "jobQueue": "arn:queue",
    "jobDefinition": "arn:definition:3",
    "status": "FAILED",
    "createdAt": 1,
    "dependsOn": [],
    "parameters": {"a": "b"},
    "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
    "timeout": {"attemptDurationSeconds": 60},
    "tags": {"team": "red", "tidemill:delay": "60"},
    "propagateTags": False,
    "container": {
        "image": "x",
        "command": ["echo", "Ref::a"],
        "environment": [{"name": "X", "value": "1"}],
        "resourceRequirements": [{"type": "VCPU", "value": "2"}],
        "exitCode": 1,
        "logStreamName": "s",
    },
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"well": "SUCCEEDED", "badly": "FAILED", "waiting": "RUNNING"}
    found = {name: {"jobId": name, "status": status} for name, status in states.items()}
    monkeypatch.setattr(jobs, "find", lambda ids: {i: found[i] for i in ids if i in found})


def test_everything_that_was_overridden_is_again() -> None:
    assert request_of(DETAIL, {}) == {
        "jobName": "n",
        "jobQueue": "arn:queue",
        "jobDefinition": "arn:definition:3",
        "parameters": {"a": "b"},
        "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
        "timeout": {"attemptDurationSeconds": 60},
        "tags": {"team": "red"},
        "containerOverrides": {
            "command": ["echo", "Ref::a"],
            "environment": [{"name": "X", "value": "1"}],
            "resourceRequirements": [{"type": "VCPU", "value": "2"}],
        },
    }


def test_an_array_and_a_share() -> None:
    request = request_of(
        {
            **DETAIL,
            "arrayProperties": {"size": 4, "statusSummary": {}},
            "shareIdentifier": "acme",
            "schedulingPriority": 7,
        },
        {},
    )
    assert request["arrayProperties"] == {"size": 4}
    assert (request["shareIdentifier"], request["schedulingPriorityOverride"]) == ("acme", 7)


def test_it_waits_for_what_its_dependencies_have_become() -> None:
    depends_on = [
        {"jobId": "well"},
        {"jobId": "badly", "type": "N_TO_N"},
        {"jobId": "waiting"},
        {"type": "SEQUENTIAL"},
    ]
    request = request_of({**DETAIL, "dependsOn": depends_on}, {"badly": ["again"]})
    assert request["dependsOn"] == [
        {"jobId": "again", "type": "N_TO_N"},
        {"jobId": "waiting"},
        {"type": "SEQUENTIAL"},
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"status": "SUCCEEDED"}, "ended well"),
        ({"status": "RUNNING"}, "has not ended"),
        ({"jobId": "old:3", "arrayProperties": {"index": 3}}, "retry old"),
        ({"nodeProperties": {"numNodes": 2}}, "several nodes"),
    ],
)
def test_what_can_not_be_retried_says_why(more: dict[str, Any], words: str) -> None:
    assert words in _obstacle({**DETAIL, **more})
    assert _obstacle(DETAIL) == ""
