"""What one batch of messages changed: each row once, each job's states in one event.

A job that is submitted, admitted and cancelled within a batch is one row; a thousand children of
an array that start and end alike are one event.
"""

from __future__ import annotations

from tidemill.platform.core import Event
from tidemill.platform.store import Row, Write
from tidemill.services.batch import event
from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.command import SubmitJob
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.job import Job, Stop, Unit
from tidemill.services.batch.multinode import Node
from tidemill.services.batch.state import State
from tidemill.services.batch.store import Changes, range_row

Path = tuple[State, ...]


class Journal:
    """Gathers what changes, and gives it out as writes and events when a batch is done."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._new: dict[Unit, tuple[SubmitJob, int]] = {}
        self._paths: dict[Unit, Path] = {}
        self._ranges: list[Row] = []
        self._range_events: dict[tuple[str, Path], IndexSet] = {}
        self._events: list[Event] = []

    def created(self, job: Job, command: SubmitJob, wall_ms: int) -> None:
        """A job was submitted."""
        self._new[job] = command, wall_ms
        self._paths[job] = (job.state,)

    def moved(self, unit: Unit) -> None:
        """`unit` has come to a new state."""
        self._paths[unit] = (*self._paths.get(unit, ()), unit.state)

    def touched(self, unit: Unit) -> None:
        """Something about `unit` changed that its row tells, but not its state."""
        self._paths.setdefault(unit, ())

    def children_moved(self, array: ArrayJob, first: int, last: int, state: State) -> None:
        """Children that have not begun came to `state`."""
        self._range_events.setdefault((array.id, (state,)), IndexSet()).add_range(first, last)

    def children_failed(
        self,
        array: ArrayJob,
        first: int,
        last: int,
        stop: Stop,
        dependency: str | None,
        wall_ms: int,
    ) -> None:
        """Children ended without ever having begun."""
        self._ranges.append(range_row(array, first, last, wall_ms, stop, dependency))
        self.children_moved(array, first, last, State.FAILED)

    def blocked(self, job: Job, reason: str) -> None:
        """A job holds back the queue that it is the head of."""
        self._events.append(event.queue_blocked(job.id, job.spec.queue, reason, job.attempt))

    def collect(self) -> tuple[list[Write], list[Event]]:
        """The writes and events of the batch; a new one begins."""
        changes = Changes([], [], [], [], self._ranges)
        for unit, path in self._paths.items():
            if isinstance(unit, Child | Node):
                changes.parts.append(unit)
            elif unit in self._new:
                changes.new.append((unit.job, *self._new[unit]))
            else:
                (changes.moved if path else changes.touched).append(unit.job)
        writes, events = changes.writes(), self._collect_events()
        self._clear()
        return writes, events

    def _collect_events(self) -> list[Event]:
        alike: dict[tuple[str, Path, int], list[int]] = {}
        for unit, path in self._paths.items():
            if not path or isinstance(unit, Node):
                continue
            if isinstance(unit, Child):
                alike.setdefault((unit.array.id, path, unit.attempt), []).append(unit.index)
            else:
                self._events.append(event.state_change(unit.job.id, path, None, unit.attempt))
        # A child that has not begun only ever moves on to a later state: so they are told.
        moved = sorted(self._range_events.items(), key=lambda entry: entry[0][1])
        found = {(*key, 0): indexes.ranges() for key, indexes in moved}
        for key, indexes in alike.items():
            found[key] = [*found.get(key, ()), *runs(indexes)]
        self._events += [
            event.state_change(job_id, path, ranges, attempts)
            for (job_id, path, attempts), ranges in found.items()
        ]
        return self._events


def runs(indexes: list[int]) -> list[tuple[int, int]]:
    """Different indexes as inclusive ranges, lowest first."""
    indexes.sort()
    found: list[tuple[int, int]] = []
    first = last = indexes[0]
    for index in indexes:
        if index > last + 1:
            found.append((first, last))
            first = index
        last = index
    return [*found, (first, last)]
