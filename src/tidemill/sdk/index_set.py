"""Sets of children's numbers, written as ranges: `3,17,99-120`.

A job that does some children of a map again is told which in one argument, so the text is short
where they lie together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate


class IndexSet:
    """Numbers in rising order, each once. `set[n]` is the n-th of them."""

    __slots__ = ("_firsts", "_starts", "ranges")

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """`ranges` are (first, last), rising and apart."""
        self.ranges = tuple(ranges)
        lengths = (last - first + 1 for first, last in self.ranges)
        self._starts = [*accumulate(lengths, initial=0)]
        self._firsts = [first for first, _ in self.ranges]

    @classmethod
    def of(cls, numbers: Iterable[int]) -> IndexSet:
        """The set of these numbers, given in any order."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(set(numbers)):
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1] = (ranges[-1][0], number)
            else:
                ranges.append((number, number))
        return cls(ranges)

    @classmethod
    def span(cls, first: int, size: int) -> IndexSet:
        """`size` numbers from `first` on."""
        return cls(((first, first + size - 1),) if size else ())

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __getitem__(self, place: int) -> int:
        if not 0 <= place < len(self):
            raise IndexError(place)
        which = bisect_right(self._starts, place) - 1
        return self._firsts[which] + place - self._starts[which]

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.place(number) is not None

    def place(self, number: int) -> int | None:
        """Which of the set `number` is, from 0 on; None where it is none of them."""
        which = bisect_right(self._firsts, number) - 1
        if which < 0 or number > self.ranges[which][1]:
            return None
        return self._starts[which] + number - self._firsts[which]

    def touches(self, other: IndexSet) -> bool:
        """Whether they have a number in common."""
        return any(
            first <= other_last and other_first <= last
            for first, last in self.ranges
            for other_first, other_last in other.ranges
        )

    def text(self) -> str:
        """The set as `parse` reads it."""
        return ",".join(
            str(first) if first == last else f"{first}-{last}" for first, last in self.ranges
        )

    def pieces(self, size: int, letters: int) -> Iterator[IndexSet]:
        """The set in parts of at most `size` numbers, whose texts have at most `letters`."""
        part: list[tuple[int, int]] = []
        count = length = 0
        for first, last in self.ranges:
            while first <= last:
                if part and (count == size or length + 24 > letters):
                    yield IndexSet(part)
                    part, count, length = [], 0, 0
                upto = min(last, first + size - count - 1)
                part.append((first, upto))
                count += upto - first + 1
                length += len(f"{first}-{upto},")
                first = upto + 1
        if part:
            yield IndexSet(part)


@lru_cache(maxsize=64)
def parse(text: str) -> IndexSet:
    """The set that `text()` wrote; `ValueError` for anything else."""
    ranges = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        ranges.append((int(first), int(last or first)))
    return IndexSet(ranges)
