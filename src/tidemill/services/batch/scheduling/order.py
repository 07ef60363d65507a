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
    """Jobs that name the same consumables, in the order of their queue's kind.

    `is_held` says that the present cycle passes it over.
    """

    is_held: bool

    def add(self, waiting: Waiting, now_ms: int) -> None:
        """Let `waiting` join."""

    def remove(self, waiting: Waiting, now_ms: int) -> bool:
        """Take `waiting` out, who must be in line; True when nobody is left."""

    def head(self, now_ms: int) -> tuple[float, Waiting]:
        """Where its first job stands against other lanes' first (lower goes first), and that."""

    def lines(self) -> list[Line]:
        """The lines that it is made of."""

    def touch(self, identifier: str, now_ms: int) -> None:
        """What this share has in use has changed."""

    def stand_anew(self, now_ms: int) -> None:
        """Weights or decay have changed."""


class FifoLane:
    """First in, first out; schedulingPriority counts only under a fair-share policy."""

    __slots__ = ("_line", "is_held")

    def __init__(self) -> None:
        self._line = Line()
        self.is_held = False

    def add(self, waiting: Waiting, now_ms: int) -> None:  # noqa: ARG002
        """Let `waiting` join."""
        self._line.add((0, waiting.seq, waiting))

    def remove(self, waiting: Waiting, now_ms: int) -> bool:  # noqa: ARG002
        """Take `waiting` out."""
        self._line.remove(0, waiting.seq)
        return not self._line

    def head(self, now_ms: int) -> tuple[float, Waiting]:  # noqa: ARG002
        """The oldest."""
        return 0.0, self._line.first()[2]

    def lines(self) -> list[Line]:
        """Its only line."""
        return [self._line]

    def touch(self, identifier: str, now_ms: int) -> None:
        """Shares mean nothing here."""

    def stand_anew(self, now_ms: int) -> None:
        """Nor do weights."""


class Standing:
    """One share's line in one lane, and the ticket under which it stands in the heap."""

    __slots__ = ("line", "share", "ticket")

    def __init__(self, share: Share) -> None:
        self.line = Line()
        self.share = share
        self.ticket = 0


class FairLane:
    """The share that stands lowest first; `Ledger.key` says why a heap by key stays right."""

    __slots__ = ("_heap", "_ledger", "_standings", "_ticket", "is_held")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._heap: list[tuple[float, int, int, Standing]] = []
        self._ticket = 0
        self._standings: dict[str, Standing] = {}
        self.is_held = False

    def add(self, waiting: Waiting, now_ms: int) -> None:
        """Let `waiting` join its share's line."""
        standing = self._standings.get(waiting.share)
        if standing is None:
            standing = Standing(self._ledger.share(waiting.share))
            self._standings[waiting.share] = standing
        standing.line.add((-waiting.priority, waiting.seq, waiting))
        if standing.line.first()[2] is waiting:
            self._stand(standing, now_ms)

    def remove(self, waiting: Waiting, now_ms: int) -> bool:
        """Take `waiting` out of its share's line; the share stands anew."""
        standing = self._standings[waiting.share]
        standing.line.remove(-waiting.priority, waiting.seq)
        if standing.line:
            self._stand(standing, now_ms)
        else:
            standing.ticket = -1
            del self._standings[waiting.share]
        return not self._standings

    def head(self, now_ms: int) -> tuple[float, Waiting]:
        """The first job of the share that stands lowest at this moment."""
        heap = self._heap
        while True:
            key, seq, ticket, standing = heap[0]
            if ticket != standing.ticket:
                heappop(heap)
                continue
            if standing.share.attempts:
                present = self._ledger.key(standing.share, now_ms)
                if present > key:
                    heapreplace(heap, (present, seq, ticket, standing))
                    continue
            return key, standing.line.first()[2]

    def lines(self) -> list[Line]:
        """One line for each share that waits."""
        return [standing.line for standing in self._standings.values()]

    def touch(self, identifier: str, now_ms: int) -> None:
        """Stand again where the share belongs now."""
        standing = self._standings.get(identifier)
        if standing is not None:
            self._stand(standing, now_ms)

    def stand_anew(self, now_ms: int) -> None:
        """Every share stands where it belongs now."""
        self._heap.clear()
        for standing in self._standings.values():
            self._stand(standing, now_ms)

    def _stand(self, standing: Standing, now_ms: int) -> None:
        ticket = standing.ticket = self._ticket = self._ticket + 1
        if len(self._heap) > 64 + 4 * len(self._standings):
            self._heap = [entry for entry in self._heap if entry[2] == entry[3].ticket]
            heapify(self._heap)
        key = self._ledger.key(standing.share, now_ms)
        heappush(self._heap, (key, standing.line.first()[1], ticket, standing))
