"""What a job printed, from CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tidemill.sdk import watch
from tidemill.sdk.client import Connection
from tidemill.sdk.watch import Sight

GROUP: Final = "/aws/batch/job"


def lines_of(connection: Connection, detail: dict[str, Any]) -> Iterator[str]:
    """The lines of every attempt of a job, as DescribeJobs gives it, in order."""
    logs = connection.client("logs")
    for stream in streams_of(detail):
        yield from _new_lines(logs, stream, {})


def streams_of(detail: dict[str, Any]) -> list[str]:
    """The log streams of a job's attempts, the present one last."""
    attempts = [attempt.get("container", {}) for attempt in detail.get("attempts", ())]
    containers = [*attempts, detail.get("container") or {}]
    named = (container.get("logStreamName") for container in containers)
    return list(dict.fromkeys(name for name in named if name))


def follow(connection: Connection, look: Callable[[], Sight]) -> Iterator[str]:
    """The lines of every attempt of a job as they are printed, until it has ended."""
    read: dict[str, str] = {}
    pace = watch.Pace(connection)
    logs = connection.client("logs")
    while True:
        sight = look()
        said = False
        for stream in streams_of(sight.detail):
            for text in _new_lines(logs, stream, read):
                said = True
                yield text
        if sight.has_ended:
            return
        if said:
            pace = watch.Pace(connection)
        time.sleep(pace.pause_s())


def _new_lines(logs: Any, stream: str, read: dict[str, str]) -> Iterator[str]:
    """The lines of a stream beyond the place that `read` has of it, which moves on."""
    while True:
        token = {"nextToken": read[stream]} if stream in read else {}
        try:
            page = logs.get_log_events(
                logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token
            )
        except logs.exceptions.ResourceNotFoundException:
            return  # nothing was printed yet
        for event in page["events"]:
            yield event["message"]
        is_last = page["nextForwardToken"] == read.get(stream)
        read[stream] = page["nextForwardToken"]
        if is_last:
            return
