"""Counting jobs by their listings: an array is its children, a cut listing is a lower bound."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli.survey import Count, Front, Listing, shares, states_of, weight_of


def job(status: str, share: str = "", created: int = 0, **counts: int) -> dict[str, Any]:
    found: dict[str, Any] = {"status": status, "createdAt": created, "shareIdentifier": share}
    if counts:
        found["arrayProperties"] = {"size": sum(counts.values()), "statusSummary": counts}
    return found


def test_an_array_stands_for_its_children() -> None:
    assert states_of(job("RUNNING")) == {"RUNNING": 1}
    assert states_of(job("PENDING", RUNNABLE=3, RUNNING=2)) == {"RUNNABLE": 3, "RUNNING": 2}
    uncounted = {"status": "SUBMITTED", "arrayProperties": {"size": 9, "statusSummary": {}}}
    assert states_of(uncounted) == {"SUBMITTED": 9}


def test_what_was_not_read_makes_a_count_a_lower_bound() -> None:
    count = Count()
    count.add(Listing([job("RUNNABLE")] * 1200))
    assert count.told(["RUNNABLE"]) == "1,200"
    count.add(Listing([job("RUNNING")], has_more=True))
    assert count.told(["RUNNABLE"]) == "1,200+"


RULES = [
    {"shareIdentifier": "free*", "weightFactor": 4.0},
    {"shareIdentifier": "freeAda*", "weightFactor": 3.0},
    {"shareIdentifier": "pro", "weightFactor": 0.5},
    {"shareIdentifier": "other"},
]
POLICY: dict[str, Any] = {"shareDistribution": RULES}


@pytest.mark.parametrize(
    ("share", "weight"), [("pro", 0.5), ("freeBob", 4), ("freeAda1", 3), ("x", 1), ("other", 1)]
)
def test_a_weight_is_its_own_or_its_longest_prefixs(share: str, weight: float) -> None:
    assert weight_of(POLICY, share) == weight


def test_tenants_are_those_with_jobs_and_those_that_the_policy_names() -> None:
    listing = Listing(
        [job("RUNNABLE", "a", 20), job("RUNNABLE", "a", 10), job("PENDING", "b", 5, RUNNING=2)]
    )
    front = Front(next_ids=[], oldest_ms=None, vcpus=2.0, shares={"b": 2.0})
    found = {share.identifier: share for share in shares("q", POLICY, [listing], front)}
    assert set(found) == {"a", "b", "pro", "other"}
    assert (found["a"].count.of(["RUNNABLE"]), found["a"].oldest_ms, found["a"].vcpus) == (2, 10, 0)
    assert (found["b"].count.of(["RUNNING"]), found["b"].oldest_ms, found["b"].vcpus) == (
        2,
        None,
        2,
    )
    unsaid = Front(next_ids=[], oldest_ms=None, vcpus=None, shares=None)
    assert shares("q", POLICY, [listing], unsaid)[0].vcpus is None, "AWS may not say"
