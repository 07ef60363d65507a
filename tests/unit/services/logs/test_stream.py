"""Streams: listed by name or time, read from both ends, deleted out of sight."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import GROUP, T0, messages


def names(answer: Any) -> list[str]:
    return [stream["logStreamName"] for stream in answer["logStreams"]]


def pages(logs: Any, **params: Any) -> list[str]:
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.call("DescribeLogStreams", logGroupName=GROUP, **params, **token)
        found += names(page)
        if "nextToken" not in page:
            return found
        token = {"nextToken": page["nextToken"]}


def test_streams_are_listed_by_name_and_by_their_last_event(logs: Any) -> None:
    early_long = logs.write((0, "a"), (900_000, "z"), definition="zebra")
    late = logs.write((300_000, "b"), definition="ant")
    silent = logs.write(definition="mole")
    by_name, by_time = [late, silent, early_long], [silent, late, early_long]
    for limit in (1, 2, 50):
        assert pages(logs, limit=limit) == by_name
        assert pages(logs, limit=limit, descending=True) == by_name[::-1]
        assert pages(logs, limit=limit, orderBy="LastEventTime") == by_time
        assert pages(logs, limit=limit, orderBy="LastEventTime", descending=True) == by_time[::-1]
    assert pages(logs, logStreamNamePrefix="an") == [late]
    refusal = logs.refused(
        "DescribeLogStreams", logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="a"
    )
    assert refusal.message == "Cannot order by LastEventTime with a logStreamNamePrefix."


def test_many_streams_are_listed_once_each(logs: Any) -> None:
    written = [logs.write((i, "x")) for i in range(130)]
    assert pages(logs) == sorted(written)
    assert pages(logs, orderBy="LastEventTime", descending=True) == written[::-1]


def test_a_stream_says_when_its_events_came(logs: Any) -> None:
    stream = logs.write((0, "a"), (5_000, "b"))
    (described,) = logs.call(
        "DescribeLogStreams", logGroupIdentifier=f"arn:aws:logs:us-east-1:0:log-group:{GROUP}:*"
    )["logStreams"]
    assert described["logStreamName"] == stream
    assert (described["firstEventTimestamp"], described["lastEventTimestamp"]) == (T0, T0 + 5_000)


def test_pages_forward_end_with_the_token_that_was_sent(logs: Any) -> None:
    stream = logs.write(*[(i, f"line {i}") for i in range(10)])
    first = logs.get(stream, startFromHead=True, limit=4)
    assert messages(first) == ["line 0", "line 1", "line 2", "line 3"]
    assert first["events"][1]["timestamp"] == T0 + 1
    rest = logs.get(stream, startFromHead=True, nextToken=first["nextForwardToken"])
    assert messages(rest) == [f"line {i}" for i in range(4, 10)]
    end = logs.get(stream, startFromHead=True, nextToken=rest["nextForwardToken"])
    assert messages(end) == []
    assert end["nextForwardToken"] == rest["nextForwardToken"]
    back = logs.get(stream, nextToken=end["nextBackwardToken"], limit=2)
    assert messages(back) == ["line 8", "line 9"]


def test_without_a_direction_the_latest_events_come_first(logs: Any) -> None:
    stream = logs.write(*[(i, f"line {i}") for i in range(10)])
    last = logs.get(stream, limit=3)
    assert messages(last) == ["line 7", "line 8", "line 9"]
    before = logs.get(stream, nextToken=last["nextBackwardToken"])
    assert messages(before) == [f"line {i}" for i in range(7)]
    start = logs.get(stream, nextToken=before["nextBackwardToken"])
    assert (messages(start), start["nextBackwardToken"]) == ([], before["nextBackwardToken"])


def test_a_forward_token_follows_a_running_job(logs: Any) -> None:
    name = logs.name()
    log = logs.begin(name)
    log.append(T0, b"one\n")
    logs.writer.flush()
    page = logs.get(name, startFromHead=True)
    log.append(T0 + 1, b"two\n")
    logs.writer.flush()
    assert messages(logs.get(name, nextToken=page["nextForwardToken"])) == ["two"]
    log.close(T0 + 2)


def test_a_time_range_includes_its_start_and_not_its_end(logs: Any) -> None:
    stream = logs.write(*[(i, str(i)) for i in range(10)])
    assert messages(logs.get(stream, startTime=T0 + 3, endTime=T0 + 6)) == ["3", "4", "5"]


def test_what_does_not_exist_is_told_as_on_aws(logs: Any) -> None:
    stream = logs.write((0, "x"))
    refusal = logs.refused("GetLogEvents", logGroupName=GROUP, logStreamName="nobody")
    assert refusal.code == "ResourceNotFoundException"
    assert refusal.message == "The specified log stream does not exist."
    refusal = logs.refused("GetLogEvents", logGroupName="/none", logStreamName=stream)
    assert refusal.message == "The specified log group does not exist."
    for token in ("f/1/s", "nonsense", "f/" + "9" * 56 + "/s"):
        refusal = logs.refused(
            "GetLogEvents", logGroupName=GROUP, logStreamName=stream, nextToken=token
        )
        assert refusal.message == "The specified nextToken is invalid."
    refusal = logs.refused("GetLogEvents", logStreamName=stream)
    assert refusal.code == "InvalidParameterException"


def test_a_deleted_stream_stays_out_of_sight(logs: Any) -> None:
    kept, gone = logs.write((0, "kept")), logs.write((0, "gone"))
    logs.call("DeleteLogStream", logGroupName=GROUP, logStreamName=gone)
    logs.restart()
    assert pages(logs) == [kept]
    assert logs.filter() == ["kept"]
    for operation in ("GetLogEvents", "DeleteLogStream"):
        refusal = logs.refused(operation, logGroupName=GROUP, logStreamName=gone)
        assert refusal.message == "The specified log stream does not exist."


@pytest.mark.parametrize("operation", ["PutLogEvents", "CreateLogStream", "StartQuery"])
def test_what_is_not_offered_says_so(logs: Any, operation: str) -> None:
    assert logs.refused(operation, logGroupName=GROUP).code == "InvalidOperationException"
