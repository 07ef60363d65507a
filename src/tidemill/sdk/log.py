"""What a job printed, from CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tidemill.sdk.client import Connection

GROUP: Final = "/aws/batch/job"


def lines_of(connection: Connection, detail: dict[str, Any]) -> Iterator[str]:
    """The lines of every attempt of a job, as DescribeJobs gives it, in order."""
    for stream in streams_of(detail):
        yield from _lines(connection.client("logs"), stream)


def streams_of(detail: dict[str, Any]) -> list[str]:
    """The log streams of a job's attempts, the present one last."""
    attempts = [attempt.get("container", {}) for attempt in detail.get("attempts", ())]
    containers = [*attempts, detail.get("container") or {}]
    named = (container.get("logStreamName") for container in containers)
    return list(dict.fromkeys(name for name in named if name))


def _lines(logs: Any, stream: str) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        try:
            page = logs.get_log_events(
                logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token
            )
        except logs.exceptions.ResourceNotFoundException:
            return  # nothing was printed
        for event in page["events"]:
            yield event["message"]
        if page["nextForwardToken"] == token.get("nextToken"):
            return
        token = {"nextToken": page["nextForwardToken"]}
