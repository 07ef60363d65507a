"""The operations that search: FilterLogEvents, and TestMetricFilter to try a pattern."""

from __future__ import annotations

from typing import Any, Final

from tidemill.services.logs.context import Context, Params, group_name, invalid, no_such
from tidemill.services.logs.pattern import compile_pattern
from tidemill.services.logs.search import Query, Search
from tidemill.services.logs.stream import EVENTS_PER_PAGE_MAX, describe_event
from tidemill.services.logs.token import event_id, read_resume, write_resume

DESCENDING_SINCE_MS: Final = 1_704_067_200_000
"""FilterLogEvents' documentation: newest first only from 2024 on."""


async def filter_log_events(logs: Context, params: Params) -> dict[str, Any]:
    """A page of the events that match, of all streams named, in order of time."""
    query = await _query(logs, params)
    search = await logs.read(lambda reader: Search(reader, query))
    while not await logs.read(lambda _: search.step()):
        pass
    answer: dict[str, Any] = {
        "events": [
            {"logStreamName": place.stream, "eventId": event_id(place), **describe_event(event)}
            for place, event in search.found
        ],
        "searchedLogStreams": [],
    }
    if search.resume is not None:
        answer["nextToken"] = write_resume(search.resume)
    return answer


async def test_metric_filter(_logs: Context, params: Params) -> dict[str, Any]:
    """Which of the given messages a pattern matches."""
    matches = compile_pattern(params["filterPattern"])
    return {
        "matches": [
            {"eventNumber": number, "eventMessage": message, "extractedValues": {}}
            for number, message in enumerate(params["logEventMessages"], 1)
            if matches(message)
        ]
    }


async def _query(logs: Context, params: Params) -> Query:
    group, token = group_name(params), params.get("nextToken")
    names, prefix = tuple(params.get("logStreamNames") or ()), params.get("logStreamNamePrefix")
    if names and prefix:
        raise invalid("logStreamNames and logStreamNamePrefix can't be given together.")
    start_ms, forward = params.get("startTime") or 0, params.get("startFromHead") is not False
    if not forward and token is None and start_ms < DESCENDING_SINCE_MS:
        raise invalid("startFromHead false needs a startTime on or after 2024-01-01T00:00:00Z.")
    matches = compile_pattern(params.get("filterPattern") or "")
    resume = read_resume(token) if token is not None else None
    await logs.group(group)
    for name in names:
        if await logs.stream(group, name) is None:
            raise no_such("stream")
    return Query(
        group=group,
        names=tuple(dict.fromkeys(names)),
        prefix=prefix or "",
        hidden=frozenset(stream for name, stream in logs.deleted if name == group),
        start_ms=start_ms,
        end_ms=params.get("endTime"),
        matches=matches,
        limit=params.get("limit") or EVENTS_PER_PAGE_MAX,
        forward=resume.forward if resume is not None else forward,
        after=resume.place if resume is not None else None,
    )
