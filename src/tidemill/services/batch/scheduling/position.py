"""Where a job stands: how many are before it, and who the first in a queue are.

Worked out when somebody asks, never kept. Counting looks at no more than a thousand entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace, merge
from itertools import islice

from tidemill.services.batch.scheduling.fairshare import Ledger
from tidemill.services.batch.scheduling.line import Line
from tidemill.services.batch.scheduling.queue import Queue
from tidemill.services.batch.scheduling.spec import Waiting

COUNTED_MAX = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """`jobs` are before it, each child of an array counted; `is_exact` False says or more.

    Under a fair-share policy `jobs` are those of its own share, and `shares` stand before it.
    """

    jobs: int
    shares: int = 0
    is_exact: bool = True

    @property
    def is_first(self) -> bool:
        """Whether its turn is next."""
        return not self.jobs and not self.shares


def find_position(queue: Queue, waiting: Waiting, index: int | None, now_ms: int) -> Position:
    """Where `waiting`, or its child `index`, stands in its queue."""
    rank = -waiting.priority if queue.ledger is not None else 0
    jobs = _children_before(waiting, index)
    is_exact = True
    for line in _lines_with(queue, waiting):
        entries = line.count_before(rank, waiting.seq)
        counted = min(entries, COUNTED_MAX)
        jobs += sum(_size(entry[2]) for entry in islice(line, counted)) + entries - counted
        is_exact = is_exact and entries == counted
    return Position(jobs, _shares_before(queue, waiting, now_ms), is_exact)


def front(queue: Queue, now_ms: int, limit: int) -> list[tuple[str, int | None]]:
    """The first `limit` jobs (job id, child's index) as they would start if there were room.

    Under a fair-share policy each is charged to its share before the next is chosen.
    """
    if queue.ledger is None:
        lines = [line for lane in queue.lanes.values() for line in lane.lines()]
        return list(islice(_units(lines), limit))
    return list(islice(_fair_units(queue, queue.ledger, now_ms), limit))


def _lines_with(queue: Queue, waiting: Waiting) -> list[Line]:
    lines = [line for lane in queue.lanes.values() for line in lane.lines()]
    if queue.ledger is None:
        return lines
    return [line for line in lines if line.first()[2].share == waiting.share]


def _children_before(waiting: Waiting, index: int | None) -> int:
    if index is None or waiting.indexes is None:
        return 0
    return sum(
        min(last, index - 1) - first + 1
        for first, last in waiting.indexes.ranges()
        if first < index
    )


def _size(waiting: Waiting) -> int:
    return 1 if waiting.indexes is None else len(waiting.indexes)


def _shares_before(queue: Queue, waiting: Waiting, now_ms: int) -> int:
    ledger = queue.ledger
    if ledger is None:
        return 0
    own = ledger.share(waiting.share)
    score = ledger.score(own, now_ms)
    others = (share for share in ledger.shares() if share.waiting and share is not own)
    return sum(ledger.score(share, now_ms) < score for share in others)


def _units(lines: list[Line]) -> Iterator[tuple[str, int | None]]:
    for _, _, waiting in merge(*lines):
        if waiting.indexes is None:
            yield waiting.job_id, None
        else:
            yield from ((waiting.job_id, index) for index in waiting.indexes)


def _fair_units(queue: Queue, ledger: Ledger, now_ms: int) -> Iterator[tuple[str, int | None]]:
    by_share: dict[str, list[Line]] = {}
    for lane in queue.lanes.values():
        for line in lane.lines():
            by_share.setdefault(line.first()[2].share, []).append(line)
    turns = []
    for identifier, lines in by_share.items():
        share = ledger.share(identifier)
        seq = min(lines, key=Line.first).first()[1]
        per_milli = share.weight * ledger.expected_part(share)
        turns.append((ledger.score(share, now_ms), seq, per_milli, _charged(lines)))
    heapify(turns)
    while turns:
        score, seq, per_milli, units = turns[0]
        unit = next(units, None)
        if unit is None:
            heappop(turns)
            continue
        yield unit[0], unit[1]
        heapreplace(turns, (score + per_milli * unit[2], seq, per_milli, units))


def _charged(lines: list[Line]) -> Iterator[tuple[str, int | None, int]]:
    for _, _, waiting in merge(*lines):
        cpu_milli = waiting.request.cpu_milli
        indexes = (None,) if waiting.indexes is None else waiting.indexes
        for index in indexes:
            yield waiting.job_id, index, cpu_milli
