"""Amounts as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

import tidemill as tm
from tidemill.sdk import quantity


@pytest.mark.parametrize(
    ("amount", "mib"),
    [(512, 512), ("512MiB", 512), ("2 GiB", 2048), ("0.5gib", 512), ("1GB", 954)],
)
def test_memory(amount: int | str, mib: int) -> None:
    assert quantity.memory_mib(amount) == mib


@pytest.mark.parametrize(
    ("amount", "seconds"),
    [(90, 90), (1.2, 2), ("90s", 90), ("15m", 900), ("1.5h", 5400), (timedelta(days=1), 86400)],
)
def test_timeout(amount: float | str | timedelta, seconds: int) -> None:
    assert quantity.timeout_s(amount) == seconds


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"memory": "lots"}, "memory='lots' can't be read; write it like"),
        ({"memory": "5s"}, "memory='5s' can't be read"),
        ({"memory": 0}, "less than one MiB"),
        ({"timeout": "15"}, "timeout='15' can't be read"),
        ({"timeout": 0}, "must be more than 0 seconds"),
        ({"vcpus": 0}, "vcpus=0 must be more than 0"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is_written(
    settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        tm.job(**settings)  # type: ignore[call-overload]  # wrong on purpose


def test_vcpus_are_written_as_aws_does() -> None:
    assert [quantity.vcpus_text(amount) for amount in (1, 0.25, 2.0)] == ["1", "0.25", "2"]


def test_a_plain_call_just_calls() -> None:
    @tm.job(vcpus=2)
    def double(x: int) -> int:
        """Twice."""
        return 2 * x

    assert double(4) == 8
    assert (double.__name__, double.__doc__) == ("double", "Twice.")
