"""The operations on log streams: list them, read one, delete one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from tidemill.platform.fault import Fault
from tidemill.platform.log_stream import LogEvent, StreamInfo
from tidemill.services.logs import store
from tidemill.services.logs.context import Context, Listing, Params, group_name, invalid, no_such
from tidemill.services.logs.token import read_position, read_text, write_position, write_text

STREAMS_PER_PAGE_MAX: Final = 50
EVENTS_PER_PAGE_MAX: Final = 10_000
PAGE_BYTES_MAX: Final = 1024 * 1024
LISTING_KEPT_MS: Final = 60_000
_STREAMS_PER_STEP: Final = 1_000


async def describe_log_streams(logs: Context, params: Params) -> dict[str, Any]:
    """Streams by name or by the time of their last event, a page at a time."""
    group, prefix = group_name(params), params.get("logStreamNamePrefix") or ""
    by_time = params.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    await logs.group(group)
    token, limit = params.get("nextToken"), params.get("limit") or STREAMS_PER_PAGE_MAX
    keys = (await _list(logs, (group, prefix, by_time), anew=token is None)).keys
    if params.get("descending"):
        keys = keys[::-1]
    start = 0 if token is None else _find(keys, token, bool(params.get("descending")))
    page = keys[start : start + limit]
    names = [name for _, name in page if not logs.is_deleted(group, name)]
    infos = await logs.read(lambda reader: [reader.stream(group, name) for name in names])
    answer: dict[str, Any] = {
        "logStreams": [_describe(logs, group, info) for info in infos if info is not None]
    }
    if start + limit < len(keys):
        at_ms, name = page[-1]
        answer["nextToken"] = write_text(f"{at_ms} {name}")
    return answer


async def get_log_events(logs: Context, params: Params) -> dict[str, Any]:
    """A page of one stream's events, oldest first within it.

    Without a token it is the last page, or the first where `startFromHead`. Both tokens are always
    there; the one that comes back unchanged has nothing behind it for now.
    """
    group, stream = group_name(params), params["logStreamName"]
    forward, position = bool(params.get("startFromHead")), None
    if (token := params.get("nextToken")) is not None:
        position, forward = read_position(token)
    page = None
    if not logs.is_deleted(group, stream):
        page = await logs.read(
            lambda reader: reader.read(
                group,
                stream,
                position,
                forward=forward,
                events_max=params.get("limit") or EVENTS_PER_PAGE_MAX,
                bytes_max=PAGE_BYTES_MAX,
                start_ms=params.get("startTime") or 0,
                end_ms=params.get("endTime"),
            )
        )
    if page is None:
        await logs.group(group)
        raise no_such("stream")
    return {
        "events": [describe_event(event) for event in page.events],
        "nextForwardToken": write_position(page.end, forward=True),
        "nextBackwardToken": write_position(page.start, forward=False),
    }


async def delete_log_stream(logs: Context, params: Params) -> dict[str, Any]:
    """Take a stream out of sight; its bytes go with those of its time, by retention."""
    group, stream = params["logGroupName"], params["logStreamName"]
    if await logs.stream(group, stream) is None:
        await logs.group(group)
        raise no_such("stream")
    logs.deleted.add((group, stream))
    await logs.committer.commit(store.put_deleted(group, stream))
    return {}


async def refuse_writing(_logs: Context, _params: Params) -> dict[str, Any]:
    """Streams are made by jobs alone."""
    raise Fault(
        "InvalidOperationException",
        "Log streams here hold the output of jobs and are written by them alone: print to standard "
        "output or error, and it is in the job's own stream.",
    )


def describe_event(event: LogEvent) -> dict[str, Any]:
    """The members that every event has."""
    return {"timestamp": event.at_ms, "message": event.message, "ingestionTime": event.at_ms}


async def _list(logs: Context, query: tuple[str, str, bool], *, anew: bool) -> Listing:
    """The sorted streams of a group under a prefix; further pages need no scan each."""
    kept = logs.listing
    if kept is None or kept.query != query or anew:
        kept = Listing(query, await _scan(logs, query))
        if len(kept.keys) > STREAMS_PER_PAGE_MAX:
            _keep(logs, kept)
    return kept


def _keep(logs: Context, listing: Listing) -> None:
    logs.listing = listing

    def drop() -> None:
        if logs.listing is listing:
            logs.listing = None

    logs.clock.call_at(logs.clock.now().mono_ms + LISTING_KEPT_MS, drop)


async def _scan(logs: Context, query: tuple[str, str, bool]) -> list[tuple[int, str]]:
    group, prefix, by_time = query
    streams: Iterator[StreamInfo] = await logs.read(lambda reader: reader.streams(group, prefix))

    def step() -> list[tuple[int, str]]:
        return [
            ((info.last_event_ms or 0) if by_time else 0, info.name)
            for info in islice(streams, _STREAMS_PER_STEP)
        ]

    keys: list[tuple[int, str]] = []
    while found := await logs.read(lambda _: step()):
        keys += found
    return await logs.read(lambda _: sorted(set(keys)))


def _find(keys: list[tuple[int, str]], token: str, descending: bool) -> int:
    """Where a list goes on behind the entry that a token names."""
    at_ms, _, name = read_text(token).partition(" ")
    last = (int(at_ms) if at_ms.isascii() and at_ms.isdigit() else 0, name)
    if descending:
        return len(keys) - bisect_left(keys[::-1], last)
    return bisect_right(keys, last)


def _describe(logs: Context, group: str, info: StreamInfo) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "logStreamName": info.name,
        "creationTime": info.created_ms,
        "arn": logs.stream_arn(group, info.name),
        "storedBytes": 0,  # AWS has given 0 for streams since 2019
    }
    if info.first_event_ms is not None:
        answer["firstEventTimestamp"] = info.first_event_ms
        answer["lastEventTimestamp"] = info.last_event_ms
        answer["lastIngestionTime"] = info.last_event_ms
    return answer
