"""`tm.checkpoint`: a loop whose place is kept, so that the next attempt goes on where one stopped.

All loops of a job keep their places in one object, `<run>checkpoints/<index>`. A place is how many
items were finished. It may be behind, never ahead: what was done since it was last saved is done
again.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sized
from datetime import date
from datetime import time as time_of_day
from pathlib import PurePath
from types import FrameType
from typing import Any, Final, Generic, TypeVar, cast

from tidemill.sdk import bucket, client, context, courier
from tidemill.sdk.context import Attempt, Interrupted
from tidemill.sdk.error import TidemillError

T = TypeVar("T")
FOLDER: Final = "checkpoints/"
SAVE_S: Final = 10.0
"""A place is at most this old when an item ends, however few items were finished since."""


def checkpoint(items: Iterable[T], every: int = 100, *, name: str = "") -> Iterator[T]:
    """The items in order; a later attempt of the job begins with the first that was not finished.

    An item is finished when the next one is asked for. Where a loop is, is saved after `every`
    items, after ten seconds, when the loop is left by an exception, and when the job is asked to
    end by SIGTERM: it then ends at the next item, and is taken again without counting as failed.
    A killed attempt saves nothing, so what came after the last save is done again.

    The items must be the same in each attempt, in the same order. Where the library can tell that
    they are not (by their number, or by the item that was last), it says so and begins anew.
    Several loops of a function are told apart by their order, or by `name` where that may change.
    Outside of a job these are just the items.
    """
    if every < 1:
        raise ValueError(f"every={every!r} must be at least 1.")
    if isinstance(items, set | frozenset):
        raise TypeError(
            "checkpoint() takes items in an order that the next attempt finds again, which a set "
            "has not; give it sorted(...)."
        )
    if not hasattr(type(items), "__iter__") and not hasattr(type(items), "__getitem__"):
        raise TypeError(
            f"checkpoint() takes the items of a loop, such as a list or range(1000), not {items!r}."
        )
    attempt = context.attempt
    if attempt is None:
        return iter(items)
    return _Loop(_places_of(attempt), items, every, name).run()


_known: tuple[Attempt, _Places] | None = None


def _places_of(attempt: Attempt) -> _Places:
    global _known
    if _known is None or _known[0] is not attempt:
        _known = attempt, _Places(attempt)
    return _known[1]


class _Places:
    """Where each loop of this job is, and whether the job is asked to end.

    A loop's key says where it begins: the item of the chunk, the item of the loop around it, and
    its name or its number among those that begin there. Its place is the number of items that are
    finished, how many there are (None where that is not known), and the mark of the last.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.url = f"{context.run_url(attempt.results)}{FOLDER}{attempt.index}"
        self.active: list[_Loop[Any]] = []
        self._of = self._read()
        self._begun = (0, 0)
        self._is_unsaved = False
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._is_watching = False
        self._before: Any = None
        self._is_asked = False
        self._is_heeded = False
        context.at_end.append(self._save_what_was_left)

    def _read(self) -> dict[str, list[Any]]:
        s3 = client.current().client("s3")
        try:
            found: dict[str, list[Any]] = json.loads(bucket.get(client.current(), self.url))
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return {}
        return found

    def key(self, name: str) -> str:
        """The key of a loop that begins now."""
        here = threading.get_ident()
        around = next((loop for loop in reversed(self.active) if loop.thread == here), None)
        if around is not None:
            around.inner += 1
            return f"{around.key}/{around.finished}/{name or around.inner}"
        place, number = self._begun
        number = number + 1 if place == context.place else 1
        self._begun = context.place, number
        return f"{context.place}/{name or number}"

    def get(self, key: str) -> list[Any] | None:
        """Where the loop was last."""
        return self._of.get(key)

    def save(self) -> None:
        """Write down where all loops are."""
        with self._lock:
            for loop in self.active:
                self._of[loop.key] = loop.place()
            courier.put(self.url, json.dumps(self._of, separators=(",", ":")).encode("ascii"))
            self._is_unsaved = False
            for loop in self.active:
                loop.is_saved()

    def forget(self, key: str) -> None:
        """Where this loop, or the loops within this item, are, is of no use any more."""
        with self._lock:
            for gone in [each for each in self._of if f"{each}/".startswith(f"{key}/")]:
                del self._of[gone]
            self._is_unsaved = True

    def enter(self, loop: _Loop[Any]) -> None:
        """This loop is under way: SIGTERM waits for its next item, where it came before any."""
        with self._lock:
            self.active.append(loop)
            if not self._is_watching and _is_main_thread():
                self._is_watching = True
                self._before = signal.signal(signal.SIGTERM, self._ask)

    def leave(self, loop: _Loop[Any]) -> None:
        """It is not under way any more; without any, SIGTERM means what it did before."""
        with self._lock:
            self.active.remove(loop)
            self._of[loop.key] = loop.place()
            self._is_unsaved = True
            if not self._is_watching or self.active or not _is_main_thread():
                return
            self._is_watching = False
            signal.signal(signal.SIGTERM, self._before)
        if self._is_asked and not self._is_heeded:
            self._save_what_was_left()
            os.kill(self._pid, signal.SIGTERM)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that the function forked: it has no loop to end
            signal.signal(number, self._before)
            os.kill(os.getpid(), number)
            return
        self._is_asked = True
        if callable(self._before):
            self._before(number, frame)

    def heed(self, loop: _Loop[Any]) -> None:
        """Between two items: end the job here if it is asked to."""
        if self._is_asked:
            self._is_heeded = True
            self.save()
            raise Interrupted(f"Asked to end after item {loop.finished:,}; it can go on there.")

    def _save_what_was_left(self) -> None:
        if self._is_unsaved or self.active:
            self.save()


class _Loop(Generic[T]):
    """One loop from its first item here to its last."""

    def __init__(self, places: _Places, items: Iterable[T], every: int, name: str) -> None:
        self._places = places
        self._items = items
        self._every = every
        self._total = len(items) if isinstance(items, Sized) else None
        self._last: Any = None
        self._saved = 0
        self._saved_s = 0.0
        self.thread = threading.get_ident()
        self.key = places.key(name)
        self.finished = 0
        self.inner = 0
        """How many loops have begun within the present item."""

    def place(self) -> list[Any]:
        """Where it is, as it is kept."""
        return [self.finished, self._total, _mark(self._last) if self.finished else ""]

    def is_saved(self) -> None:
        """Its place was written down just now."""
        self._saved, self._saved_s = self.finished, time.monotonic()

    def run(self) -> Iterator[T]:
        """The items that are left."""
        rest = self._rest()
        self.is_saved()
        self._places.enter(self)
        try:
            for item in rest:
                self._places.heed(self)
                yield item
                self._finish(item)
            self._end()
        finally:
            self._places.leave(self)

    def _finish(self, item: T) -> None:
        if self.inner:
            self._places.forget(f"{self.key}/{self.finished}")
            self.inner = 0
        self._last = item
        self.finished += 1
        is_due = self.finished - self._saved >= self._every
        if is_due or time.monotonic() - self._saved_s >= SAVE_S:
            self._places.save()

    def _end(self) -> None:
        self._places.heed(self)
        if self.finished > self._saved and self._places.active[0] is self:
            self._places.save()

    def _rest(self) -> Iterator[T]:
        place = self._places.get(self.key)
        if place is None or not place[0]:
            return iter(self._items)
        finished, total, mark = place
        if total != self._total:
            return self._anew(f"there were {total} items and are {self._total} now")
        rest, self._last = _after(self._items, finished)
        if _mark(self._last) != mark:
            return self._anew(f"item {finished - 1:,} is another one now")
        self.finished = finished
        sys.stderr.write(f"checkpoint: going on after item {finished:,}.\n")
        return rest

    def _anew(self, why: str) -> Iterator[T]:
        self._places.forget(self.key)
        self._last = None
        if iter(self._items) is self._items:
            raise TidemillError(
                f"checkpoint() can't go on, as {why}, nor begin anew with an iterator; give it a "
                f"list, or the same items in each attempt."
            )
        sys.stderr.write(f"checkpoint: beginning anew, as {why}.\n")
        return iter(self._items)


def _after(items: Iterable[T], count: int) -> tuple[Iterator[T], Any]:
    """What follows the first `count` items, and the last of those; None where there are fewer."""
    rest: Iterator[T] = iter(items)
    if isinstance(items, range):  # may be long
        return cast("Iterator[T]", iter(items[count:])), items[count - 1]
    last = next(itertools.islice(rest, count - 1, None), None)
    return rest, last


_STEADY: Final = (str, int, float, bool, type(None), bytes, PurePath, date, time_of_day)


def _mark(item: Any) -> str:
    """Something that is the same for equal items in any process: little, and not certain."""
    kind = type(item).__qualname__
    if not _is_steady(item):
        return kind
    return f"{kind}:{zlib.crc32(repr(item).encode('utf-8', 'backslashreplace')):08x}"


def _is_steady(item: Any) -> bool:
    """Whether its `repr` is all that it is, in each process, and the loop can't have changed it."""
    return all(map(_is_steady, item)) if type(item) is tuple else isinstance(item, _STEADY)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
