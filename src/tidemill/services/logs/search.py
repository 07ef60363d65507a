"""FilterLogEvents: the events of many streams as one, in order of time, those that match.

A merge of streams, each read a little at a time. Going forward, a stream joins the merge when the
minute of its name is reached, so that only those alive at one time are held; going backward, all
streams are sorted by their end first. A page ends where it is full or enough was read: AWS's
pages may be short or empty, too, and a token says that there may be more.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidemill.platform.log import SEGMENT_MS
from tidemill.platform.log_reader import LogReader
from tidemill.platform.log_stream import LogEvent, StreamInfo
from tidemill.services.logs.pattern import Matches
from tidemill.services.logs.token import Place, Resume

PAGE_BYTES_MAX: Final = 1024 * 1024
SCANNED_BYTES_MAX: Final = 32 * 1024 * 1024
_CHUNK_EVENTS: Final = 500
_CHUNK_BYTES: Final = 64 * 1024
_EVENTS_PER_STEP: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is searched: streams of a group, a range of times, messages, and where to begin."""

    group: str
    names: tuple[str, ...]
    prefix: str
    hidden: frozenset[str]
    start_ms: int
    end_ms: int | None
    matches: Matches
    limit: int
    forward: bool
    after: Place | None


@dataclass(slots=True)
class _Cursor:
    """One stream in the merge: its next event is `events[0]`."""

    name: str
    events: deque[LogEvent]
    position: int | None = None


class Search:
    """One page of a search; `step` is called in the reader's thread until it returns True."""

    def __init__(self, reader: LogReader, query: Query) -> None:
        self._reader = reader
        self._query = query
        self._bounds = self._times()
        self._coming = self._candidates()
        self._next: StreamInfo | None = None
        self._is_begun = False
        self._heap: list[tuple[tuple[int, str, int] | _Later, _Cursor]] = []
        self._scanned_bytes = self._page_bytes = 0
        self._last: Place | None = query.after
        self.found: list[tuple[Place, LogEvent]] = []
        self.resume: Resume | None = None

    def step(self) -> bool:
        """Go through some events; whether the page is done."""
        if not self._is_begun:
            self._is_begun = True
            self._next = next(self._coming, None)
        for _ in range(_EVENTS_PER_STEP):
            self._join()
            if not self._heap:
                if self._next is None:
                    return True
                continue
            if not self._take():
                assert self._last is not None
                self.resume = Resume(self._last, self._query.forward)
                return True
        return False

    def _take(self) -> bool:
        """Pass the next event of the merge, unless the page is full before it."""
        _, cursor = heapq.heappop(self._heap)
        event = cursor.events.popleft()
        place = Place(event.at_ms, cursor.name, event.position)
        size = event.end - event.position
        is_wanted = self._query.matches(event.message)
        if is_wanted and self.found:
            is_full = self._page_bytes + size > PAGE_BYTES_MAX
            if is_full or len(self.found) == self._query.limit:
                return False
        if self._scanned_bytes >= SCANNED_BYTES_MAX:
            return False
        if is_wanted:
            self.found.append((place, event))
            self._page_bytes += size
        self._scanned_bytes += size
        self._last = place
        self._push(cursor)
        return True

    def _join(self) -> None:
        """Take in the streams that may have an event before the merge's next one."""
        while self._next is not None:
            if self._heap and not self._is_due(self._next, self._heap[0][1].events[0].at_ms):
                return
            self._push(_Cursor(self._next.name, deque()))
            self._next = next(self._coming, None)

    def _is_due(self, info: StreamInfo, at_ms: int) -> bool:
        if self._query.forward:
            return _named_ms(info) <= at_ms
        return (info.last_event_ms or 0) >= at_ms

    def _push(self, cursor: _Cursor) -> None:
        """Put a stream back into the merge, unless it has nothing more in the range."""
        if not cursor.events and not self._fill(cursor):
            return
        event = cursor.events[0]
        key = (event.at_ms, cursor.name, event.position)
        heapq.heappush(self._heap, (key if self._query.forward else _Later(key), cursor))

    def _fill(self, cursor: _Cursor) -> bool:
        """Read the stream's next events; whether there are any."""
        forward, after = self._query.forward, self._query.after
        start_ms, end_ms = self._bounds
        while not cursor.events:
            page = self._reader.read(
                self._query.group,
                cursor.name,
                cursor.position,
                forward=forward,
                events_max=_CHUNK_EVENTS,
                bytes_max=_CHUNK_BYTES,
                start_ms=start_ms,
                end_ms=end_ms,
            )
            if page is None or not page.events:
                return False
            cursor.position = page.end if forward else page.start
            for event in page.events if forward else reversed(page.events):
                place = Place(event.at_ms, cursor.name, event.position)
                if after is None or (place > after if forward else place < after):
                    cursor.events.append(event)
        return True

    def _times(self) -> tuple[int, int | None]:
        """The range that is left to search, from where the page begins."""
        query = self._query
        if query.after is None:
            return query.start_ms, query.end_ms
        if query.forward:
            return max(query.start_ms, query.after.at_ms), query.end_ms
        end_ms = query.after.at_ms + 1
        return query.start_ms, end_ms if query.end_ms is None else min(end_ms, query.end_ms)

    def _candidates(self) -> Iterator[StreamInfo]:
        """The streams that may have events in the range, in the order in which they join."""
        start_ms, end_ms = self._bounds
        kept = (
            info
            for info in self._streams(start_ms)
            if info.last_event_ms is not None
            and info.last_event_ms >= start_ms
            and (end_ms is None or info.created_ms < end_ms)
            and info.name not in self._query.hidden
        )
        if self._query.forward and not self._query.names:
            return kept
        if self._query.forward:
            return iter(sorted(kept, key=_named_ms))
        return iter(sorted(kept, key=lambda info: -(info.last_event_ms or 0)))

    def _streams(self, since_ms: int) -> Iterator[StreamInfo]:
        query = self._query
        if not query.names:
            yield from self._reader.streams(query.group, query.prefix, since_ms=since_ms)
            return
        for name in query.names:
            if (info := self._reader.stream(query.group, name)) is not None:
                yield info


def _named_ms(info: StreamInfo) -> int:
    """The minute in which the stream's name was made: none of its events is earlier."""
    return int(info.name[-32:-24], 16) * SEGMENT_MS


class _Later:
    """A key that sorts the other way round: the latest event first."""

    __slots__ = ("key",)

    def __init__(self, key: tuple[int, str, int]) -> None:
        self.key = key

    def __lt__(self, other: _Later) -> bool:
        return self.key > other.key
