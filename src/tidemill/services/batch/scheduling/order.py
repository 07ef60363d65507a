"""Whose turn it is within one queue.

A queue is made of lanes, one for each set of consumable resources that its jobs name; most have
one. A job that waits for a consumable holds back its lane, that is those that want the same, and
nobody else. Within a lane it is first in, first out; or, under a fair-share policy, the share
that stands lowest, and in it the highest schedulingPriority, then the oldest.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import Protocol

from tidemill.services.batch.scheduling.fairshare import Ledger, Share
from tidemill.services.batch.scheduling.line import Line
from tidemill.services.batch.scheduling.spec import Waiting

Names = tuple[str, ...]
"""The consumable resources that the jobs of a lane name."""


class Lane(Protocol):
    """Jobs that name the same consumables, in the order of their queue's kind."""

    is_held: bool

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""

    def add(self, waiting: Waiting) -> None:
        """Let `waiting` join."""

    def remove(self, waiting: Waiting) -> None:
        """Take `waiting` out; it must be in line."""

    def head(self, now_ms: int) -> tuple[float, Waiting] | None:
        """Where its first job stands against other lanes' first (lower goes first), and that."""

    def lines(self) -> list[Line]:
        """The lines it is made of; all empty means nobody waits."""

    def touch(self, share: Share, now_ms: int) -> None:
        """What `share` has in use has changed."""

    def stand_anew(self, now_ms: int) -> None:
        """Weights or decay have changed."""


class FifoLane:
    """First in, first out; schedulingPriority counts only under a fair-share policy."""

    __slots__ = ("is_held", "line")

    def __init__(self) -> None:
        self.line = Line()
        self.is_held = False

    def add(self, waiting: Waiting) -> None:
        """Let `waiting` join."""
        self.line.add((0, waiting.seq, waiting))

    def remove(self, waiting: Waiting) -> None:
        """Take `waiting` out."""
        self.line.remove(0, waiting.seq)

    def head(self, now_ms: int) -> tuple[float, Waiting] | None:  # noqa: ARG002
        """The oldest."""
        return (0.0, self.line.first()[2]) if self.line else None

    def lines(self) -> list[Line]:
        """Its only line."""
        return [self.line] if self.line else []

    def touch(self, share: Share, now_ms: int) -> None:
        """Shares mean nothing here."""

    def stand_anew(self, now_ms: int) -> None:
        """Nor do weights."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self.line


class Standing:
    """One share's line in one lane, and the ticket under which it stands in the heap."""

    __slots__ = ("line", "share", "ticket")

    def __init__(self, share: Share) -> None:
        self.line = Line()
        self.share = share
        self.ticket = 0


class FairLane:
    """The share that stands lowest first; see `Ledger.key` for why a heap by key stays right."""

    __slots__ = ("_heap", "_ledger", "_ticket", "is_held", "standings")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._heap: list[tuple[float, int, int, Standing]] = []
        self._ticket = 0
        self.standings: dict[str, Standing] = {}
        self.is_held = False

    def add(self, waiting: Waiting) -> None:
        """Let `waiting` join its share's line."""
        standing = self.standings.get(waiting.share)
        if standing is None:
            standing = Standing(self._ledger.share(waiting.share))
            self.standings[waiting.share] = standing
        standing.line.add((-waiting.priority, waiting.seq, waiting))
        if standing.line.first()[2] is waiting:
            self._stand(standing, standing.share.at_ms)

    def remove(self, waiting: Waiting) -> None:
        """Take `waiting` out of its share's line."""
        standing = self.standings[waiting.share]
        was_first = standing.line.first()[2] is waiting
        standing.line.remove(-waiting.priority, waiting.seq)
        if not standing.line:
            standing.ticket = -1
            del self.standings[waiting.share]
        elif was_first:
            self._stand(standing, standing.share.at_ms)

    def head(self, now_ms: int) -> tuple[float, Waiting] | None:
        """The first job of the share that stands lowest at this moment."""
        heap = self._heap
        while heap:
            key, seq, ticket, standing = heap[0]
            if ticket != standing.ticket:
                heappop(heap)
                continue
            share = standing.share
            if share.running and (present := self._ledger.key(share, now_ms)) > key:
                heapreplace(heap, (present, seq, ticket, standing))
                if heap[0][3] is not standing:
                    continue
                key = present
            return key, standing.line.first()[2]
        return None

    def touch(self, share: Share, now_ms: int) -> None:
        """Stand again where `share` belongs now."""
        standing = self.standings.get(share.identifier)
        if standing is not None:
            self._stand(standing, now_ms)

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self.standings

    def lines(self) -> list[Line]:
        """One line for each share that waits."""
        return [standing.line for standing in self.standings.values()]

    def stand_anew(self, now_ms: int) -> None:
        """Weights or decay have changed: every share stands where it belongs now."""
        self._heap.clear()
        for standing in self.standings.values():
            self._stand(standing, now_ms)

    def _stand(self, standing: Standing, now_ms: int) -> None:
        self._ticket += 1
        standing.ticket = self._ticket
        key = self._ledger.key(standing.share, now_ms)
        if len(self._heap) > 64 + 4 * len(self.standings):
            self._heap = [entry for entry in self._heap if entry[2] == entry[3].ticket]
            heapify(self._heap)
        heappush(self._heap, (key, standing.line.first()[1], self._ticket, standing))
