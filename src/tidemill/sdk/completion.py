"""Runs in the order in which they end, as `concurrent.futures.as_completed` gives futures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from tidemill.sdk import failure, result, watch
from tidemill.sdk.client import Connection, patience
from tidemill.sdk.result import EXCEPTION
from tidemill.sdk.run import MapRun, Run

R = TypeVar("R")
AnyRun = Run[Any] | MapRun[Any]
H = TypeVar("H", bound=AnyRun)
LISTING_SHARE: Final = 0.2
"""How much of the time of waiting for a map's items may go into listing them."""
_PATIENCE_S: Final = 0.5


def as_completed(runs: Iterable[H], timeout: float | None = None) -> Iterator[H]:
    """The runs and maps as they end, each once: `result()` of what is given returns at once.

    `TimeoutError` when not all have ended after `timeout` seconds.
    """
    return _as_completed(_checked(runs), timeout)


def _checked(runs: Iterable[H]) -> list[H]:
    is_several = isinstance(runs, Iterable) and not isinstance(runs, MapRun)
    given: list[Any] = list(runs) if is_several else [runs]
    for each in given:
        if not is_several or not isinstance(each, Run | MapRun):
            raise TypeError(
                f"as_completed was given {each!r}; give it a list of the runs and maps that "
                f"submit() and map() returned, or take one map's items by its own as_completed()."
            )
    return given


def _as_completed(runs: list[H], timeout: float | None) -> Iterator[H]:
    waiting = dict.fromkeys(runs)
    deadline = _Deadline(timeout)
    pace: watch.Pace | None = None
    while waiting:
        for run in _ended(waiting):
            del waiting[run]
            yield run
        if waiting:
            deadline.check(len(waiting))
            pace = pace or watch.Pace(next(iter(waiting))._connection)
            time.sleep(deadline.limit(pace.pause_s()))


def _ended(runs: Iterable[H]) -> list[H]:
    """Those that have ended, asked for a hundred jobs at a time.

    What failed may be under way again, by another process: that stands in S3, and is looked up
    once for all the items of a map.
    """
    ids = {run: run._current_ids() for run in runs}
    seen = _sights(ids)
    again: dict[int, bool] = {}
    found: list[H] = []
    for run, asked in ids.items():
        sights = [seen[job_id] for job_id in asked]
        if not sights:
            has_ended = run._look().has_ended  # it is no job: a map of nothing, or eager
        else:
            has_ended = all(sight.has_ended for sight in sights)
        if has_ended and any(sight.status == failure.FAILED for sight in sights):
            key = id(run._ledger)
            if key not in again:
                again[key] = run._ledger.refresh()
            has_ended = not again[key]
        if has_ended:
            found.append(run)
    return found


def _sights(ids: Mapping[H, list[str]]) -> dict[str, watch.Sight]:
    """All these runs' jobs now, each of the server that it was submitted to."""
    asked: dict[Connection, dict[str, None]] = {}
    for run, mine in ids.items():
        if mine:
            asked.setdefault(run._connection, {}).update(dict.fromkeys(mine))
    return {
        job_id: sight
        for connection, every in asked.items()
        for job_id, sight in zip(every, watch.look_at(connection, [*every]), strict=True)
    }


def of_map(mapped: MapRun[R], timeout: float | None) -> Iterator[Run[R]]:
    """The items of a map as they end.

    Results are listed when the service has counted more ends, and what has failed without a word
    then too; of a large map each takes many pages, so that they are listed only for a share of the
    time.
    """
    deadline = _Deadline(timeout)
    pace = watch.Pace(mapped._connection)
    share = Share(LISTING_SHARE)
    given: set[int] = set()
    counted = (0, 0)
    while len(given) < mapped.children:
        with patience(deadline.limit(_PATIENCE_S)):
            sight = mapped._look()
        is_changed = (sight.ended, sight.failed) != counted and share.is_due(time.monotonic())
        if sight.has_ended or is_changed:
            start_s = time.monotonic()
            names, failed = _listed(mapped, given, sight.failed > 0)
            share.spend(start_s, time.monotonic())
            for child, found in result.load(mapped._connection, mapped._url, names).items():
                given.add(child)
                yield from mapped._ended(child, found)
            for child in failed:
                given.add(child)
                yield from mapped._ended(child, None)
            counted = (sight.ended, sight.failed)
        if sight.has_ended:
            break
        deadline.check(mapped.children - len(given))
        time.sleep(deadline.limit(pace.pause_s()))
    for child in range(mapped.children):
        if child not in given:  # its result is not there any more: `result()` says so
            yield from mapped._ended(child, None)


def _listed(
    mapped: MapRun[R], given: set[int], has_failed: bool
) -> tuple[list[result.Name], list[int]]:
    """The children that have ended and are not among `given`: results' names, and who has none."""
    listed = result.listed(mapped._connection, mapped._url)
    names = {
        index: name
        for index, name in listed.items()
        if name.kind != EXCEPTION and index not in given
    }
    failed = failure.failed_children(mapped._ledger) if has_failed else {}
    return [*names.values()], [
        child for child in failed if child not in given and child not in names
    ]


class Share:
    """Lets a thing be done again and again for no more than a share of the time, on average."""

    def __init__(self, share: float) -> None:
        """`share` is more than 0 and at most 1."""
        self._pause_per_s = 1 / share - 1
        self._due_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Whether so much time has passed since it was done."""
        return now_s >= self._due_s

    def spend(self, start_s: float, end_s: float) -> None:
        """Count of the time from `start_s` to `end_s`, in which it was done."""
        self._due_s = end_s + (end_s - start_s) * self._pause_per_s


class _Deadline:
    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._start_s = time.monotonic()

    def limit(self, pause_s: float) -> float:
        """The pause, cut off where the time is up."""
        if self._timeout_s is None:
            return pause_s
        return max(0.0, min(pause_s, self._start_s + self._timeout_s - time.monotonic()))

    def check(self, left: int) -> None:
        """Raise `TimeoutError` once the time is up."""
        if self._timeout_s is not None and time.monotonic() - self._start_s >= self._timeout_s:
            raise TimeoutError(f"{left} have not ended after {self._timeout_s:g} s")
