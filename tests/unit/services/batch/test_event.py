"""Batch's events in AWS's shape: the user guide's "Job state change events" and "Job queue blocked
events"."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.services.batch import event
from tidemill.services.batch.event import Step
from tidemill.services.batch.state import State

FIRST = {
    "container": {"exitCode": 7, "logStreamName": "one"},
    "startedAt": 10,
    "stoppedAt": 20,
    "statusReason": "Essential container in task exited",
}
SECOND = {**FIRST, "startedAt": 30, "stoppedAt": 40}
ENDED: dict[str, Any] = {
    "jobId": "a",
    "status": "FAILED",
    "statusReason": "enough",
    "attempts": [FIRST, SECOND],
    "createdAt": 1,
    "startedAt": 30,
    "stoppedAt": 40,
    "container": {"image": "b", "exitCode": 7, "reason": "bad", "logStreamName": "two"},
    "isCancelled": False,
    "isTerminated": True,
}


def test_types_are_awss() -> None:
    assert event.DETAIL_TYPES == {
        "JobStateChange": "Batch Job State Change",
        "JobQueueBlocked": "Batch Job Queue Blocked",
    }
    change = event.state_change("a", [State.SUBMITTED, State.RUNNABLE])
    assert (change.source, change.kind) == ("batch", event.JOB_STATE_CHANGE)
    blocked = event.queue_blocked("a", "q", "CAPACITY:X - full")
    assert (blocked.source, blocked.kind) == ("batch", event.QUEUE_BLOCKED)
    assert event.blocking_job(blocked.body) == ("a", "q")


def test_a_last_state_has_the_job_as_it_is_described() -> None:
    assert event.state_change_detail(Step("a", State.FAILED, 2), ENDED) == ENDED


@pytest.mark.parametrize(
    ("state", "attempts", "started_ms", "stream"),
    [
        (State.RUNNABLE, [], None, None),
        (State.STARTING, [], None, None),
        (State.RUNNING, [], 10, "one"),
        (State.RUNNABLE, [FIRST], None, None),
        (State.RUNNING, [FIRST], 30, "one"),
    ],
)
def test_an_earlier_state_has_nothing_of_what_came_later(
    state: State, attempts: list[Any], started_ms: int | None, stream: str | None
) -> None:
    detail = event.state_change_detail(Step("a", state, len(attempts)), ENDED)
    container = {"image": "b"} if stream is None else {"image": "b", "logStreamName": stream}
    wanted = {
        "jobId": "a",
        "status": state.name,
        "attempts": attempts,
        "createdAt": 1,
        "container": container,
        "isCancelled": False,
        "isTerminated": False,
    }
    if started_ms is not None:
        wanted["startedAt"] = started_ms
    assert detail == wanted
    assert ENDED["attempts"] == [FIRST, SECOND], "what is handed in stays as it is"


def test_an_entry_tells_how_many_attempts_had_ended_at_each_state() -> None:
    path = [State.RUNNING, State.RUNNABLE, State.STARTING, State.RUNNING, State.FAILED]
    steps = list(event.steps(event.state_change("a", path, None, 2).body))
    assert [(step.state, step.ended) for step in steps] == [
        *zip(path, [0, 1, 1, 1, 2], strict=True)
    ]
    details = [event.state_change_detail(step, ENDED) for step in steps]
    assert [len(detail["attempts"]) for detail in details] == [0, 1, 1, 1, 2]
    steps = list(event.steps(event.state_change("a", [State.RUNNABLE], [(0, 1)]).body))
    assert steps == [Step("a:0", State.RUNNABLE), Step("a:1", State.RUNNABLE)]


def test_a_container_of_ecs_properties_is_told_of_likewise() -> None:
    container = {"name": "main", "exitCode": 7, "logStreamName": "two"}
    tasks = {"taskProperties": [{"containers": [container]}]}
    described = {**ENDED, "ecsProperties": tasks}
    detail = event.state_change_detail(Step("a", State.STARTING), described)
    assert detail["ecsProperties"] == {"taskProperties": [{"containers": [{"name": "main"}]}]}


def test_the_job_that_blocks_is_shown_as_it_blocked() -> None:
    body = event.queue_blocked("a", "q", "CAPACITY:X - full").body
    detail = event.queue_blocked_detail(body, ENDED)
    assert (detail["status"], detail["statusReason"]) == ("RUNNABLE", "CAPACITY:X - full")
    assert detail["attempts"] == [] and "startedAt" not in detail
    parent = {**ENDED, "arrayProperties": {"size": 2, "statusSummary": {}}}
    assert event.queue_blocked_detail(body, parent)["status"] == "PENDING"


def test_of_a_job_that_is_kept_no_more_its_state_is_told() -> None:
    detail = event.state_change_detail(Step("a", State.RUNNING), {"jobArn": "arn"})
    assert detail == {"jobArn": "arn", "jobId": "a", "status": "RUNNING"}
