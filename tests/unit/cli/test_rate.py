"""Jobs that end per second, from listings of the newest jobs."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli.rate import Rate

START = 1_000_000.0


def alone(*stopped: float) -> list[dict[str, Any]]:
    return [{"jobId": str(at), "status": "SUCCEEDED", "stoppedAt": at} for at in stopped]


def array(succeeded: int, created: float = 0) -> dict[str, Any]:
    counts = {"size": 1000, "statusSummary": {"SUCCEEDED": succeeded}}
    return {"jobId": "a", "status": "PENDING", "createdAt": created, "arrayProperties": counts}


def test_jobs_that_ended_in_the_last_minute() -> None:
    rate = Rate(START)
    jobs = alone(*(START - 1000 * second for second in range(120)))
    rate.see_ended("q", "SUCCEEDED", jobs, has_more=False, now_ms=START)
    assert rate.per_s(START) == pytest.approx(1, abs=0.02)
    rate.see_ended("q", "SUCCEEDED", [], has_more=False, now_ms=START)
    assert rate.per_s(START) == 0


def test_a_page_that_does_not_reach_back_a_minute_counts_for_what_it_spans() -> None:
    rate = Rate(START)
    jobs = alone(*(START - 10 * place for place in range(200)))
    rate.see_ended("q", "SUCCEEDED", jobs, has_more=True, now_ms=START)
    assert rate.per_s(START) == pytest.approx(100, rel=0.02)


def test_an_array_counts_as_it_grows_from_when_it_is_first_seen() -> None:
    rate = Rate(START)
    rate.see([array(500)], START)
    assert rate.per_s(START + 1000) == 0
    rate.see([array(520)], START + 10_000)
    assert rate.per_s(START + 10_000) == pytest.approx(2)
    assert rate.per_s(START + 71_000) == 0, "that was more than a minute ago"


def test_an_array_that_is_younger_than_the_watch_counts_whole() -> None:
    rate = Rate(START)
    rate.see([array(30, created=START + 1)], START + 30_000)
    assert rate.per_s(START + 30_000) == pytest.approx(1)
