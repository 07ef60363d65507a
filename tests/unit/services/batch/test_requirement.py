"""How much a container needs, in both spellings."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.services.batch import requirement
from tidemill.services.batch.error import Refused
from tidemill.services.batch.requirement import Needs


def entries(**amounts: str) -> list[dict[str, str]]:
    return [{"type": kind, "value": value} for kind, value in amounts.items()]


@pytest.mark.parametrize(
    ("text", "milli"), [("1", 1000), ("0.25", 250), (".5", 500), ("1.", 1000), ("0.0001", 1)]
)
def test_vcpus_may_be_fractions(text: str, milli: int) -> None:
    assert requirement.parse(entries(VCPU=text), "c").cpu_milli == milli


@pytest.mark.parametrize("text", ["", "one", "1e3", "-1", "nan", " 1", "1_0", "0", "٣", "inf"])
def test_what_is_no_number_of_vcpus_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="VCPU"):
        requirement.parse(entries(VCPU=text), "c")


@pytest.mark.parametrize("text", ["3", "0", "1.5", "-4", "", "9999999999999"])
def test_memory_is_whole_and_at_least_four(text: str) -> None:
    with pytest.raises(Refused, match="MEMORY"):
        requirement.parse(entries(MEMORY=text), "c")


def test_a_type_may_be_given_once() -> None:
    with pytest.raises(Refused, match="more than once"):
        requirement.parse([*entries(GPU="1"), *entries(GPU="1")], "c")


def test_old_and_new_spelling_mean_the_same() -> None:
    old = requirement.stated({"vcpus": 2, "memory": 64}, "c")
    new = requirement.stated({"resourceRequirements": entries(VCPU="2", MEMORY="64")}, "c")
    assert old == new == Needs(2000, 64)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"memory": 4}, "vCPU is not provided"),
        ({"vcpus": 1}, "Memory is not provided"),
        (
            {"vcpus": 1, "memory": 4, "resourceRequirements": entries(VCPU="1")},
            "vCPU is given in both",
        ),
        (
            {"vcpus": 1, "memory": 4, "resourceRequirements": entries(MEMORY="8")},
            "memory is given in both",
        ),
        ({"vcpus": 0, "memory": 4}, "c.vcpus"),
        ({"vcpus": 1, "memory": 3}, "c.memory"),
    ],
)
def test_vcpus_and_memory_are_said_once(properties: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        requirement.stated(properties, "c")


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Needs(250, 2048), None),
        (Needs(250, 4096), "MEMORY 4096"),
        (Needs(750, 2048), "0.75"),
        (Needs(1000, 2048, 1), "GPU"),
    ],
)
def test_fargate_offers_certain_sizes_only(needs: Needs, words: str | None) -> None:
    if words is None:
        requirement.check_fargate(needs, "c")
        return
    with pytest.raises(Refused, match=words):
        requirement.check_fargate(needs, "c")
