"""Where a pipeline's failure began, by what AWS tells: its reasons name no job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tidemill.sdk import failure, watch
from tidemill.sdk.client import Connection
from tidemill.sdk.error import TidemillError
from tidemill.sdk.watch import Sight

CONNECTION: Any = None


def job(job_id: str, why: str, *above: str, status: str = "FAILED") -> Sight:
    detail = {
        "jobId": job_id,
        "jobName": f"name-{job_id}",
        "statusReason": why,
        "dependsOn": [{"jobId": each} for each in above],
    }
    is_bad = int(status == "FAILED")
    return Sight(status=status, why=why, size=1, ended=1, failed=is_bad, detail=detail)


def known(monkeypatch: pytest.MonkeyPatch, *jobs: Sight) -> None:
    by_id = {each.detail["jobId"]: each for each in jobs}

    def look_at(_connection: Connection, job_ids: Sequence[str]) -> list[Sight]:
        if not set(job_ids) <= by_id.keys():
            raise TidemillError("There is no such job.")
        return [by_id[each] for each in job_ids]

    monkeypatch.setattr(watch, "look_at", look_at)


def test_the_one_that_failed_is_found_among_all_dependencies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    well = job("well", "Essential container in task exited", status="SUCCEEDED")
    root = job("root", "Host EC2 (instance i-1) terminated.")
    last = job("last", "Dependent Job failed", "middle")
    known(monkeypatch, well, root, job("middle", "Dependent Job failed", "well", "root"), last)
    error = failure.failure_of(CONNECTION, last, "last", "last")
    told = "name-root (job root) failed: Host EC2 (instance i-1) terminated."
    assert str(error) == f"last failed: Dependent Job failed; {told}"
    assert str(error.__cause__) == told


@pytest.mark.parametrize("above", [["gone"], [], ["last"]])
def test_a_beginning_that_is_not_found_takes_nothing_away(
    monkeypatch: pytest.MonkeyPatch, above: list[str]
) -> None:
    last = job("last", "Dependent Job failed", *above)
    known(monkeypatch, last)
    error = failure.failure_of(CONNECTION, last, "last", "last")
    assert str(error).startswith("last failed: Dependent Job failed")


def test_what_was_cancelled_is_not_blamed_on_what_it_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known(monkeypatch, job("root", "it fell"))
    error = failure.failure_of(CONNECTION, job("last", "enough", "root"), "last", "last")
    assert str(error) == "last failed: enough."
    assert error.__cause__ is None
