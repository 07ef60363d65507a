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
    assert event.state_change_detail(Step("a", State.FAILED), ENDED, 40) == ENDED


@pytest.mark.parametrize(
    ("state", "wall_ms", "attempts", "started_ms", "stream"),
    [
        (State.RUNNABLE, 1, [], None, None),
        (State.STARTING, 1, [], None, None),
        (State.RUNNING, 10, [], 10, "one"),
        (State.RUNNABLE, 20, [FIRST], None, None),
        (State.RUNNING, 30, [FIRST], 30, "one"),
    ],
)
def test_an_earlier_state_has_nothing_of_what_came_later(
    state: State, wall_ms: int, attempts: list[Any], started_ms: int | None, stream: str | None
) -> None:
    detail = event.state_change_detail(Step("a", state), ENDED, wall_ms)
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


def test_attempts_that_end_in_the_entry_itself_come_after_its_earlier_states() -> None:
    """Their times tell nothing there, as all of it was committed at once."""
    path = [State.RUNNING, State.RUNNABLE, State.STARTING, State.RUNNING, State.FAILED]
    steps = list(event.steps(event.state_change("a", path).body))
    details = [event.state_change_detail(step, ENDED, 40) for step in steps]
    assert [detail["status"] for detail in details] == [state.name for state in path]
    assert [len(detail["attempts"]) for detail in details] == [0, 1, 1, 1, 2]


def test_a_container_of_ecs_properties_is_told_of_likewise() -> None:
    container = {"name": "main", "exitCode": 7, "logStreamName": "two"}
    tasks = {"taskProperties": [{"containers": [container]}]}
    described = {**ENDED, "ecsProperties": tasks}
    detail = event.state_change_detail(Step("a", State.STARTING), described, 1)
    assert detail["ecsProperties"] == {"taskProperties": [{"containers": [{"name": "main"}]}]}


def test_the_job_that_blocks_is_shown_as_it_blocked() -> None:
    body = event.queue_blocked("a", "q", "CAPACITY:X - full").body
    detail = event.queue_blocked_detail(body, ENDED, 1)
    assert (detail["status"], detail["statusReason"]) == ("RUNNABLE", "CAPACITY:X - full")
    assert detail["attempts"] == [] and "startedAt" not in detail
    parent = {**ENDED, "arrayProperties": {"size": 2, "statusSummary": {}}}
    assert event.queue_blocked_detail(body, parent, 1)["status"] == "PENDING"


def test_of_a_job_that_is_kept_no_more_its_state_is_told() -> None:
    detail = event.state_change_detail(Step("a", State.RUNNING), {"jobArn": "arn"}, 1)
    assert detail == {"jobArn": "arn", "jobId": "a", "status": "RUNNING"}
