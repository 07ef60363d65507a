"""Arrays: up to ten million children that cost next to nothing until they begin.

A child that has not begun is a number in one of its parent's index sets. It is an object while
it is under way, and a count (or, where it failed, a number again) once it has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.job import Job, Stop, Unit
from tidemill.services.batch.state import ARRAY, State, Table


@dataclass(slots=True, eq=False, kw_only=True)
class Child(Unit):
    """An array's child that has begun."""

    array: ArrayJob
    index: int

    @property
    def key(self) -> str:
        """The parent's id, a colon, the index."""
        return f"{self.array.id}:{self.index}"

    @property
    def job(self) -> ArrayJob:
        """The parent."""
        return self.array


@dataclass(slots=True, eq=False, kw_only=True)
class ArrayJob(Job):
    """An array's parent.

    A child is in `held` (waits for a dependency), or in `ready` (runnable), or in `children`
    (has begun), or has ended; one that waits for its next attempt is in `children`, and in
    `ready` unless it pauses first.
    `ready` is shared with the scheduler, which takes out what it admits. `gates` are the active
    arrays whose child of the same index must succeed first (N_TO_N). `stop` is set once the
    array as a whole was cancelled, terminated or failed by a dependency.
    """

    table: ClassVar[Table] = ARRAY

    size: int
    held: IndexSet
    ready: IndexSet = field(default_factory=IndexSet)
    children: dict[int, Child] = field(default_factory=dict)
    failed: IndexSet = field(default_factory=IndexSet)
    succeeded: int = 0
    gates: tuple[str, ...] = ()
    sequential: bool = False
    stop: Stop | None = None

    @property
    def is_finished(self) -> bool:
        """All children have ended."""
        return self.succeeded + len(self.failed) == self.size

    def has_succeeded(self, index: int) -> bool:
        """Whether child `index` has ended well."""
        return index < self.size and not (
            index in self.children
            or index in self.held
            or index in self.ready
            or index in self.failed
        )

    def unfinished(self) -> list[tuple[int, int]]:
        """The children that have not ended, as ranges that may touch."""
        under_way = [(index, index) for index in self.children if index not in self.ready]
        return [*self.held.ranges(), *self.ready.ranges(), *under_way]

    def take_unstarted(self, first: int, last: int) -> list[tuple[int, int]]:
        """Take those of `first` to `last` that never began out of the sets; they are returned."""
        taken = [*self.held.take_range(first, last), *self.ready.take_range(first, last)]
        found = IndexSet(taken)
        for index in self.children:
            if found.discard(index):
                self.ready.add(index)
        return found.ranges()

    def state_of(self, index: int) -> State | None:
        """The state of a child that has not ended; None where it has, or where there is none."""
        if index in self.children:
            return self.children[index].state
        if index in self.ready:
            return State.RUNNABLE
        return State.PENDING if index in self.held else None
