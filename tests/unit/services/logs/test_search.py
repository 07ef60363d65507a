"""FilterLogEvents merges streams by time, in pages, whatever their size and direction."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tidemill.services.logs import search

from .conftest import GROUP, T0, messages


@pytest.fixture
def shuffled(logs: Any) -> list[tuple[int, str]]:
    """Twenty streams over an hour whose lines interleave; (time, line) in order of time."""
    chance = random.Random(7)
    lines: list[tuple[int, str]] = []
    times = iter(chance.sample(range(3_600_000), 400))
    for stream in range(20):
        own = sorted(next(times) for _ in range(20))
        texts = [(at_ms, f"stream {stream} at {at_ms}") for at_ms in own]
        logs.write(*texts)
        lines += texts
    return sorted(lines)


@pytest.mark.parametrize("limit", [1, 7, 10_000])
def test_events_of_all_streams_come_in_order_of_time(logs: Any, shuffled: Any, limit: int) -> None:
    if limit == 1:
        shuffled = shuffled[:20]
    end_ms = T0 + shuffled[-1][0] + 1
    assert logs.filter(limit=limit, endTime=end_ms) == [line for _, line in shuffled]
    newest_first = logs.filter(limit=limit, endTime=end_ms, startTime=T0, startFromHead=False)
    assert newest_first == [line for _, line in reversed(shuffled)]


def test_a_range_of_time_a_prefix_and_a_pattern_are_all_held(logs: Any, shuffled: Any) -> None:
    start, end = 1_000_000, 2_000_000
    expected = [line for at_ms, line in shuffled if start <= at_ms < end and "stream 1" in line]
    assert expected
    found = logs.filter(startTime=T0 + start, endTime=T0 + end, filterPattern='"stream 1"', limit=3)
    assert found == expected
    logs.write((0, "other"), definition="another")
    assert logs.filter(logStreamNamePrefix="another/") == ["other"]


def test_named_streams_alone_are_searched(logs: Any) -> None:
    first, second, _ = (logs.write((i, f"{i}"), (i + 10, f"{i + 10}")) for i in range(3))
    assert logs.filter(logStreamNames=[second, first, second]) == ["0", "1", "10", "11"]
    refusal = logs.refused("FilterLogEvents", logGroupName=GROUP, logStreamNames=["nobody"])
    assert refusal.message == "The specified log stream does not exist."
    refusal = logs.refused(
        "FilterLogEvents", logGroupName=GROUP, logStreamNames=[first], logStreamNamePrefix="r"
    )
    assert refusal.code == "InvalidParameterException"


def test_events_of_one_millisecond_come_once_each(logs: Any) -> None:
    streams = [logs.write(*[(5, f"{s}-{i}") for i in range(5)]) for s in "ab"]
    assert len(streams) == 2
    expected = [f"{s}-{i}" for s in "ab" for i in range(5)]
    for limit in (1, 3, 10):
        assert logs.filter(limit=limit) == expected
        backward = logs.filter(limit=limit, startTime=T0, startFromHead=False)
        assert backward == expected[::-1]


def test_a_stream_opened_long_after_its_name_was_made_is_in_its_place(logs: Any) -> None:
    held_back = logs.name(T0)
    logs.write((60_000, "first"), (600_000, "third"))
    logs.write((400_000, "second"))
    log = logs.begin(held_back, T0 + 500_000)
    log.append(T0 + 700_000, b"last\n")
    log.close(T0 + 700_000)
    logs.writer.flush()
    assert logs.filter() == ["first", "second", "third", "last"]


def test_a_page_that_searched_enough_is_short_and_goes_on(logs: Any, monkeypatch: Any) -> None:
    logs.write(*[(i, f"noise {i}") for i in range(100)], (100, "signal"))
    monkeypatch.setattr(search, "SCANNED_BYTES_MAX", 100)
    page = logs.call("FilterLogEvents", logGroupName=GROUP, filterPattern="signal")
    assert page["events"] == []
    assert page["nextToken"]
    assert logs.filter(filterPattern="signal") == ["signal"]


def test_a_page_holds_a_megabyte_at_most(logs: Any) -> None:
    logs.write(*[(i, "x" * 100_000) for i in range(30)])
    page = logs.call("FilterLogEvents", logGroupName=GROUP)
    assert 1 <= len(messages(page)) <= 10
    assert len(logs.filter()) == 30


def test_a_running_stream_is_searched_as_far_as_it_is(logs: Any) -> None:
    log = logs.begin(logs.name())
    log.append(T0, b"so far\n")
    logs.writer.flush()
    assert logs.filter() == ["so far"]
    log.close(T0)


def test_bad_tokens_patterns_and_groups_are_refused(logs: Any) -> None:
    for params in ({"nextToken": "bm9uc2Vuc2U="}, {"nextToken": "?"}, {"filterPattern": "{ $. }"}):
        refusal = logs.refused("FilterLogEvents", logGroupName=GROUP, **params)
        assert refusal.code == "InvalidParameterException"
    refusal = logs.refused("FilterLogEvents", logGroupName="/none")
    assert refusal.message == "The specified log group does not exist."
    refusal = logs.refused("FilterLogEvents", logGroupName=GROUP, startFromHead=False)
    assert "2024" in refusal.message
