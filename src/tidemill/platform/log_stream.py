"""A stream as a reader sees it: one row of bytes, cut into lines with their times.

Where to cut a line too long for one event is told from the bytes around the cut alone, whichever
way one comes: at each multiple of `WINDOW_BYTES` that no line end precedes within the window. So
no event exceeds twice that, and a line shorter than it is never cut.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import add
from typing import Final

import msgspec

from tidemill.platform.log import Place
from tidemill.platform.log_index import Own, Segment, Shared, Times

WINDOW_BYTES: Final = 128 * 1024
QUIET_MS: Final = 1_000
"""A last line without its end is an event once nothing was added to it for so long."""


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """A line of output without its end, which lies in the stream from `position` to `end`.

    Made in millions where somebody reads a large output, hence no dataclass.
    """

    position: int
    end: int
    at_ms: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """A stream as lists show it; the event times are None while it has no output."""

    name: str
    created_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    stored_bytes: int


class StreamView:
    """One stream for the time of one call: what is in its segment, then what is in its own file.

    Positions count the stream's bytes from its beginning; `base` is more than 0 only where the
    segment with its first part is gone.
    """

    def __init__(self, place: Place, segment: Segment | None) -> None:
        self._segment = segment
        self._shared: Shared | None = segment.streams.get(place.key) if segment else None
        self._own: Own | None = None
        if self._shared is None or self._shared.moved:
            try:
                self._own = Own(place.own)
            except FileNotFoundError:
                self._own = None
        own_base = self._own.base if self._own else 0
        self._joint = self._shared.size if self._shared else own_base
        self._gap = own_base - self._joint if self._own else 0
        self.exists = self._shared is not None or self._own is not None
        self.base = 0 if self._shared else own_base
        self.end = self._own.end - self._gap if self._own else self._joint
        self._window: tuple[int, bytes, Times] = (-1, b"", [])

    def __enter__(self) -> StreamView:
        return self

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.close()

    def info(self, name: str) -> StreamInfo:
        """The stream as lists show it."""
        empty = self.end == self.base
        first_ms = None if empty else self._read(self.base, self.base + 1)[1][0][1]
        return StreamInfo(
            name=name,
            created_ms=self._shared.created_ms if self._shared else first_ms or 0,
            first_event_ms=first_ms,
            last_event_ms=None if empty else self._last_ms,
            stored_bytes=self.end - self.base,
        )

    def position_at(self, wall_ms: int) -> int:
        """Where the first event at or after `wall_ms` begins."""
        position = self.base
        if self._shared is not None and self._segment is not None:
            position = self._segment.position_at(self._shared, wall_ms)
        if self._own is not None and position == self._joint:
            position = self._own.position_at(wall_ms) - self._gap
        if position <= self.base:
            return self.base
        for window in range((position - 1) // WINDOW_BYTES, self.end // WINDOW_BYTES + 1):
            for end in self._ends(window):
                if end >= position:
                    return end
        return self.end

    def forward(self, start: int, end: int) -> Iterator[list[LogEvent]]:
        """The events from `start` on that begin before `end`, many at a time."""
        for window in range(start // WINDOW_BYTES, self.end // WINDOW_BYTES + 1):
            if start >= end:
                return
            if events := self._events(window, start):
                start = events[-1].end
                if events[-1].position >= end:
                    events = events[: bisect_left(events, end, key=lambda event: event.position)]
                yield events

    def backward(self, end: int, start: int) -> Iterator[LogEvent]:
        """The events that end by `end` and begin at `start` or after it, the last one first."""
        stop = -1
        for cut in self._cuts_before(end):
            if cut < start:
                return
            if stop >= 0:
                yield self._event(cut, stop)
            stop = cut

    def _cuts_before(self, end: int) -> Iterator[int]:
        for window in range((end - 1) // WINDOW_BYTES, self.base // WINDOW_BYTES - 1, -1):
            for cut in reversed(self._ends(window)):
                if cut <= end:
                    yield cut
        yield self.base

    def _ends(self, window: int) -> list[int]:
        """Where events end within a window, or at its end; ascending."""
        start = max(window * WINDOW_BYTES, self.base)
        data = self._load(window)
        lengths = map(add, map(len, data.split(b"\n")[:-1]), repeat(1))
        ends = list(accumulate(lengths, initial=start))[1:]
        stop = start + len(data)
        if stop == (window + 1) * WINDOW_BYTES:
            if not ends:
                ends.append(stop)
        elif data and not data.endswith(b"\n") and self._is_complete:
            ends.append(stop)
        return ends

    @property
    def _is_complete(self) -> bool:
        """Whether a last line without its end is one all the same."""
        if self._shared is not None and self._shared.closed:
            return True
        return self._last_ms + QUIET_MS <= time.time_ns() // 1_000_000

    @property
    def _last_ms(self) -> int:
        return self._read(self.end - 1, self.end)[1][0][1] if self.end > self.base else 0

    def _events(self, window: int, start: int) -> list[LogEvent]:
        """The events from `start` on that end in this window."""
        ends = self._ends(window)
        ends = ends[bisect_right(ends, start) :]
        begun: list[LogEvent] = []
        base = max(window * WINDOW_BYTES, self.base)
        if ends and start < base:
            begun.append(self._event(start, ends[0]))
            start, ends = ends[0], ends[1:]
        if not ends:
            return begun
        _, data, times = self._window
        starts = [start, *ends[:-1]]
        messages = _messages(data[start - base : ends[-1] - base])
        return begun + list(map(LogEvent, starts, ends, _moments(times, starts), messages))

    def _event(self, start: int, stop: int) -> LogEvent:
        number, data, times = self._window
        at = start - max(number * WINDOW_BYTES, self.base)
        if number < 0 or at < 0 or at + stop - start > len(data):
            data, times = self._read(start, stop)
            at = 0
        [wall_ms], [message] = _moments(times, [start]), _messages(data[at : at + stop - start])
        return LogEvent(start, stop, wall_ms, message)

    def _load(self, window: int) -> bytes:
        if self._window[0] != window:
            start = max(window * WINDOW_BYTES, self.base)
            end = min((window + 1) * WINDOW_BYTES, self.end)
            data, times = self._read(start, end) if start < end else (b"", [])
            self._window = (window, data, times)
        return self._window[1]

    def _read(self, start: int, end: int) -> tuple[bytes, Times]:
        data = b""
        times: Times = []
        if start < self._joint and self._shared is not None and self._segment is not None:
            data, times = self._segment.read(self._shared, start, min(end, self._joint))
            start = self._joint
        if start < end and self._own is not None:
            more, marks = self._own.read(start + self._gap, end + self._gap)
            data += more
            times += [(position - self._gap, wall_ms) for position, wall_ms in marks]
        return data, times


def _messages(data: bytes) -> list[str]:
    """Whole lines without their ends; the last one may have none."""
    data = data.replace(b"\r\n", b"\n").removesuffix(b"\n")
    try:
        return data.decode().split("\n")
    except UnicodeDecodeError:
        return [line.decode("utf-8", "replace") for line in data.split(b"\n")]


def _moments(times: Times, starts: Sequence[int]) -> list[int]:
    """The times of what begins at each of `starts`, ascending, the first not before `times`."""
    first = bisect_right(times, starts[0], key=lambda entry: entry[0]) - 1
    moments: list[int] = []
    for i in range(first, len(times)):
        until = len(starts) if i + 1 == len(times) else bisect_left(starts, times[i + 1][0])
        moments += [times[i][1]] * (until - len(moments))
        if until == len(starts):
            break
    return moments
