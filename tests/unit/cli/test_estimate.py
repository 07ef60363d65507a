"""How long a job may take, in words that say on what they are based."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli import estimate
from tidemill.cli.estimate import Measured, measured


class Batch:
    """Answers ListJobs for one definition and for the children of arrays."""

    def __init__(
        self, jobs: list[dict[str, Any]], children: dict[str, list[dict[str, Any]]]
    ) -> None:
        self.asked: list[Any] = []
        self._jobs, self._children = jobs, children

    def get_paginator(self, _: str) -> Batch:
        return self

    def paginate(self, **parameters: Any) -> list[dict[str, Any]]:
        self.asked.append(parameters["filters"])
        return [{"jobSummaryList": self._jobs}]

    def list_jobs(self, arrayJobId: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
        return {"jobSummaryList": self._children.get(arrayJobId, [])}


def ran(lasted: int, status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
    return {
        "jobId": f"j{lasted}",
        "status": status,
        "startedAt": 100,
        "stoppedAt": 100 + lasted,
        **more,
    }


JOB = {"jobId": "new", "jobName": "n", "jobQueue": "q", "jobDefinition": "arn:x/app-work:3"}


def test_the_median_of_what_ended_well_under_any_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    array = {**ran(9), "jobId": "a", "arrayProperties": {"size": 2}}
    batch = Batch([ran(10), ran(5000, "FAILED"), array, ran(30)], {"a": [ran(20), ran(40)]})
    monkeypatch.setattr(estimate, "client", lambda _: batch)
    assert measured(JOB) == Measured(25, 4)
    assert batch.asked == [[{"name": "JOB_DEFINITION", "values": ["app-work"]}]]


def test_commands_are_alike_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch([], {})
    monkeypatch.setattr(estimate, "client", lambda _: batch)
    assert measured({**JOB, "jobDefinition": "arn:x/tidemill-command:1"}) is None
    assert batch.asked == [[{"name": "JOB_NAME", "values": ["n"]}]]


def test_words() -> None:
    took = Measured(10_000, 40)
    assert took.told() == "the last 40 like it that ended well took 10s (median)"
    assert Measured(900, 1).told() == "the only one like it that ended well took 900ms"
    assert estimate.in_line(JOB, took, 3, 2) == (
        "with 3 jobs before it and 2 at a time it starts in about 20s"
    )
    array = {**JOB, "arrayProperties": {"size": 100}}
    assert estimate.in_line(array, took, 0, 4).endswith(
        "starts in about 2s; its 100 children that are left take about 4m 10s, 4 at a time"
    )
    assert estimate.left({"startedAt": 0}, took, 4000) == "about 6s are left"
    assert estimate.left({"startedAt": 0}, took, 11_000) == "it has run for longer already"
