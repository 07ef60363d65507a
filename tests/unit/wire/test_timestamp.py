"""Times in three forms: read from any, written in the one that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tidemill.wire import timestamp
from tidemill.wire.error import Mismatch

NOON = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29T12:00:00Z",
        "2024-02-29t12:00:00.000z",
        "2024-02-29T13:30:00+01:30",
        "2024-02-29 12:00:00",
        "20240229T120000Z",
        "1709208000",
        "1709208000.0",
        "1.709208e9",
        "Thu, 29 Feb 2024 12:00:00 GMT",
        "29 Feb 2024 12:00:00 +0000",
        "Thursday, 29-Feb-24 12:00:00 GMT",
        "Thu, 29 Feb 2024 07:00:00 -0500",
    ],
)
def test_every_form_is_read(text: str) -> None:
    assert timestamp.from_text(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2024-02-30",
        "2024-02-29T25:00:00Z",
        "9" * 20,
        "1e99",
        "Thu, 29 Foo 2024 12:00:00 GMT",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Mismatch, match="a Timestamp"):
        timestamp.from_text(text)


def test_the_first_moment_has_two_digits_of_a_year() -> None:
    assert timestamp.from_text("Sunday, 06-Nov-94 08:49:37 GMT").year == 1994


def test_each_form_is_written() -> None:
    later = NOON + timedelta(milliseconds=250)
    assert timestamp.to_iso8601(NOON) == "2024-02-29T12:00:00Z"
    assert timestamp.to_iso8601(later) == "2024-02-29T12:00:00.250Z"
    assert timestamp.to_iso8601(NOON + timedelta(microseconds=7)) == "2024-02-29T12:00:00.000007Z"
    assert timestamp.to_rfc822(later) == "Thu, 29 Feb 2024 12:00:00 GMT"
    assert timestamp.to_number(NOON) == 1709208000
    assert isinstance(timestamp.to_number(NOON), int)
    assert timestamp.to_number(later) == 1709208000.25


def test_numbers_and_other_zones_are_times_too() -> None:
    assert timestamp.to_number(1709208000.5) == 1709208000.5
    assert timestamp.to_number(NOON.astimezone(timezone(timedelta(hours=-7)))) == 1709208000
    assert timestamp.to_number(NOON.replace(tzinfo=None)) == 1709208000
    with pytest.raises(TypeError, match="not str"):
        timestamp.to_number("now")
