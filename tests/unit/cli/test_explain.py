"""What a person is told of a job, made of AWS's fields."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli.explain import brief, explain, is_hopeless

ESSENTIAL = "Essential container in task exited"
TIMES = {"createdAt": 0, "startedAt": 1000, "stoppedAt": 3500}
WAITS = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - needs 4 vCPU; `local` has 2 of 8 free"


def array(**counts: int) -> dict[str, Any]:
    return {"arrayProperties": {"size": sum(counts.values()), "statusSummary": counts}}


@pytest.mark.parametrize(
    ("job", "told", "in_a_row"),
    [
        ({"status": "SUCCEEDED", "statusReason": ESSENTIAL, **TIMES}, "took 2s", ""),
        (
            {"status": "SUCCEEDED", "createdAt": 0, "stoppedAt": 61_000, **array(SUCCEEDED=3)},
            "all 3 ended well, after 1m 1s",
            "array of 3",
        ),
        (
            {"status": "FAILED", "statusReason": ESSENTIAL, "container": {"exitCode": 3}},
            "exit code 3",
            "exit code 3",
        ),
        (
            {
                "status": "FAILED",
                "statusReason": "Array Child Job failed",
                **array(SUCCEEDED=3, FAILED=2),
            },
            "2 of 5 failed",
            "2 of 5 failed",
        ),
        (
            {
                "status": "FAILED",
                "statusReason": "Task failed to start",
                "container": {"reason": "CannotStartContainerError: no `x`"},
            },
            "CannotStartContainerError: no `x`",
            "CannotStartContainerError: no `x`",
        ),
        (
            {"status": "FAILED", "statusReason": "enough", "container": {"exitCode": 143}},
            "exit code 143; enough",
            "exit code 143; enough",
        ),
        (
            {"status": "FAILED", "statusReason": "Dependent Job failed: a"},
            "Dependent Job failed: a",
            "Dependent Job failed: a",
        ),
        ({"status": "FAILED", "statusReason": ESSENTIAL}, ESSENTIAL, ESSENTIAL),
        ({"status": "FAILED"}, "it says no more", ""),
        (
            {"status": "RUNNABLE", "statusReason": WAITS},
            WAITS,
            "needs 4 vCPU; `local` has 2 of 8 free",
        ),
        (
            {"status": "PENDING", "statusReason": "Waits for 2 children - of 3", **array(FAILED=3)},
            "Waits for 2 children - of 3",
            "3 of 3 ended; Waits for 2 children - of 3",
        ),
        ({"status": "STARTING"}, "it is about to start", ""),
        ({"status": "SUBMITTED"}, "it was taken in", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_told(job: dict[str, Any], told: str, in_a_row: str) -> None:
    assert explain(job) == told
    assert brief(job) == in_a_row


def test_hopeless_is_what_no_room_will_help() -> None:
    assert is_hopeless({"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - needs a GPU"})
    assert not is_hopeless({"statusReason": WAITS})
    assert not is_hopeless({})
