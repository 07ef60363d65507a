"""The log store's reading side: streams, and pages of their lines, while they are written.

A page's ends are byte positions in the stream, always between two events, so that a page read
forward and one read backward meet exactly.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tidemill.platform.log import Place, group_folder, locate, unquote
from tidemill.platform.log_index import Segment
from tidemill.platform.log_stream import LogEvent, StreamInfo, StreamView

STREAMS_IN_MEMORY_MAX: Final = 100_000
"""What the segment indexes kept in memory may hold together (some 200 bytes each)."""
_SUFFIXES: Final = (".seg", ".log", ".idx")
_FILE_TIME_SLACK_MS: Final = 1_000
"""File systems stamp files by a coarser clock than the one that events carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events in their order; read on forward from `end`, backward from `start`."""

    events: list[LogEvent]
    start: int
    end: int


class LogReader:
    """Reads a log folder; another process may be writing it."""

    def __init__(self, folder: os.PathLike[str] | str) -> None:
        self._folder = os.fspath(folder)
        self._segments: OrderedDict[str, Segment] = OrderedDict()

    def groups(self) -> list[str]:
        """The names of the groups that have any output, sorted."""
        return sorted(_groups(Path(self._folder), ""))

    def streams(
        self, group: str, prefix: str = "", *, newest_first: bool = False, since_ms: int = 0
    ) -> Iterator[StreamInfo]:
        """The streams whose name begins with `prefix`, minute by minute of their names.

        Minutes whose files were last written before `since_ms` are left out unread.
        """
        if (info := self.stream(group, prefix)) is not None:
            yield info
            return
        days = _entries(group_folder(self._folder, group), newest_first)
        for day in days:
            files = _entries(day.path, newest_first)
            live = _written_since(files, since_ms) if since_ms else None
            for file in files:
                if not file.name.endswith(".seg") or (
                    live is not None and file.name[:8] not in live
                ):
                    continue
                if (segment := self._segment(file.path)) is not None:
                    yield from self._infos(segment, prefix, newest_first)

    def stream(self, group: str, name: str) -> StreamInfo | None:
        """The one stream of that name, or None."""
        try:
            place = locate(self._folder, group, name)
        except ValueError:
            return None
        with StreamView(place, self._segment(place.segment)) as stream:
            return stream.info(name) if stream.exists else None

    def read(
        self,
        group: str,
        name: str,
        position: int | None = None,
        *,
        forward: bool = True,
        events_max: int = 10_000,
        bytes_max: int = 1024 * 1024,
        start_ms: int = 0,
        end_ms: int | None = None,
    ) -> Page | None:
        """A page of events from `position` on, or those before it; None when there is no stream.

        `position` is a page's `start` or `end`; None means the first event, or the last one when
        not `forward`. Only events from `start_ms` on and before `end_ms` are given. The page ends
        at either bound, but holds one event at least when there is one.
        """
        try:
            place = locate(self._folder, group, name)
        except ValueError:
            return None
        with StreamView(place, self._segment(place.segment)) as stream:
            if not stream.exists:
                return None
            low = stream.position_at(start_ms)
            high = stream.end if end_ms is None else stream.position_at(end_ms)
            if forward:
                start = low if position is None else min(max(position, low), stream.end)
                return _page_forward(stream.forward(start, high), start, events_max, bytes_max)
            start = high if position is None else max(min(position, high), stream.base)
            return _page_backward(stream.backward(start, low), start, events_max, bytes_max)

    def expire(self, group: str, before_ms: int, *, limit: int = 100) -> int:
        """Remove what was last written before `before_ms`, at most `limit` minutes' files.

        A minute's files go together, and none that a writer still has open. Returns how many
        minutes went: as many as `limit` means that there may be more.
        """
        removed = 0
        for day in _entries(group_folder(self._folder, group)):
            minutes: dict[str, list[str]] = {}
            for entry in _entries(day.path):
                if entry.name.endswith(_SUFFIXES):
                    minutes.setdefault(entry.name[:8], []).append(entry.path)
            for paths in list(minutes.values()):
                if removed == limit:
                    return removed
                removed += _expire(paths, before_ms)
            _remove_if_empty(day.path)
        return removed

    def _infos(self, segment: Segment, prefix: str, newest_first: bool) -> Iterator[StreamInfo]:
        keys = list(segment.streams)
        for key in reversed(keys) if newest_first else keys:
            name = segment.name(segment.streams[key])
            if name is None or not name.startswith(prefix):
                continue
            place = Place(segment.path, key, segment.path[: -len(".seg")] + key.hex())
            with StreamView(place, segment) as stream:
                yield stream.info(name)

    def _segment(self, path: str) -> Segment | None:
        """The index of a segment, brought up to date; the least used ones are dropped."""
        segment = self._segments.pop(path, None)
        try:
            if segment is None or segment.is_gone:
                segment = Segment(path)
        except FileNotFoundError:
            return None
        segment.refresh()
        self._segments[path] = segment
        held = sum(len(kept.streams) + 100 for kept in self._segments.values())
        while held > STREAMS_IN_MEMORY_MAX and len(self._segments) > 1:
            _, dropped = self._segments.popitem(last=False)
            held -= len(dropped.streams) + 100
        return segment


def _page_forward(
    walk: Iterator[list[LogEvent]], position: int, events_max: int, bytes_max: int
) -> Page:
    """Take events from `walk`, which goes on from `position`, up to the bounds."""
    events: list[LogEvent] = []
    last = position + bytes_max
    for batch in walk:
        events += batch
        if len(events) > events_max or batch[-1].end > last:
            fitting = bisect_right(events, last, key=lambda event: event.end)
            del events[min(max(fitting, 1), events_max) :]
            break
        if len(events) == events_max:
            break
    if not events:
        return Page(events=events, start=position, end=position)
    return Page(events=events, start=events[0].position, end=events[-1].end)


def _page_backward(
    walk: Iterator[LogEvent], position: int, events_max: int, bytes_max: int
) -> Page:
    """Take events from `walk`, which goes back from `position`, up to the bounds."""
    events: list[LogEvent] = []
    taken_bytes = 0
    for event in walk:
        taken_bytes += event.end - event.position
        if len(events) == events_max or (events and taken_bytes > bytes_max):
            break
        events.append(event)
    events.reverse()
    if not events:
        return Page(events=events, start=position, end=position)
    return Page(events=events, start=events[0].position, end=events[-1].end)


def _groups(folder: Path, head: str) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.name.endswith("~"):
            yield from _groups(Path(entry.path), head + entry.name[:-1])
        else:
            yield unquote(head + entry.name)


def _entries(folder: os.PathLike[str] | str, newest_first: bool = False) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name, reverse=newest_first)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _written_since(files: list[os.DirEntry[str]], since_ms: int) -> set[str]:
    """The minutes of a day that have a file written at `since_ms` or later."""
    live: set[str] = set()
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime_ns // 1_000_000 + _FILE_TIME_SLACK_MS >= since_ms:
                live.add(file.name[:8])
    return live


def _expire(paths: list[str], before_ms: int) -> bool:
    """Remove a minute's files unless one is newer, or open in a writer; whether they went."""
    files: list[int] = []
    try:
        for path in paths:
            files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            fcntl.flock(files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(files[-1]).st_mtime_ns // 1_000_000 >= before_ms:
                return False
        for path in paths:
            Path(path).unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        for file in files:
            os.close(file)
    return True


def _remove_if_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        Path(folder).rmdir()
