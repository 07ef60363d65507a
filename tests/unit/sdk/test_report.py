"""How often progress is written, and that nothing that goes wrong with it reaches the job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import tidemill as tm
from tidemill.sdk import context, courier, report
from tidemill.sdk.worker import Task


class Written:
    """What was written, and whether writing works."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.works = True
        self.bodies: list[dict[str, Any]] = []

    def put_once(self, url: str, body: bytes) -> bool:
        assert url == "s3://b/runs/1/progress/7"
        self.bodies.append(json.loads(body))
        return self.works


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """A job, child 7 of a map, at the clock's 100 s."""
    written = Written()
    monkeypatch.setattr(courier, "put_once", written.put_once)
    monkeypatch.setattr("time.monotonic", lambda: written.now_s)
    for name, value in (("_due_s", 0.0), ("_pause_s", report.EVERY_S), ("_latest", None)):
        monkeypatch.setattr(report, name, value)
    context.attempt = Task.of(["m:f", "", "s3://b/runs/1/results/#7"], {})
    yield written
    context.attempt = None
    context.at_end.clear()


def end() -> None:
    """What the worker does once the function has ended."""
    for each in context.at_end:
        each()


def test_it_is_written_once_a_second_and_at_the_end(written: Written) -> None:
    for step in range(100):
        written.now_s = 100 + step / 40
        tm.progress(step, 100)
    assert [each["done"] for each in written.bodies] == [0, 40, 80]
    end()
    end()
    assert [each["done"] for each in written.bodies] == [0, 40, 80, 99]


def test_what_can_not_be_written_is_tried_less_often(written: Written) -> None:
    written.works = False
    for _ in range(300):
        written.now_s += 1
        tm.progress(1)
    assert 8 <= len(written.bodies) <= 12


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ((3, 4, "x" * 1000), {"done": 3, "total": 4, "note": "x" * 200}),
        ((1.5, None, 3), {"done": 1.5, "total": None, "note": "3"}),
        ((float("nan"), float("inf"), ""), {"done": 0, "total": None, "note": ""}),
        (("half", object(), ""), {"done": 0, "total": None, "note": ""}),
    ],
)
def test_whatever_is_said_can_be_written(written: Written, said: Any, body: Any) -> None:
    tm.progress(*said)
    told = written.bodies[0]
    assert told.pop("at_ms") > 0
    assert told == body


def test_outside_of_a_job_it_does_nothing(written: Written) -> None:
    context.attempt = None
    tm.progress(1, 2)
    assert written.bodies == []
