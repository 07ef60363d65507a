"""A set of array indexes, kept as ranges: a million waiting children cost one pair of numbers.

Children become runnable in runs and are taken from the front, so that the ranges stay few; a
retried or a released child is put back wherever it belongs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class IndexSet:
    """Integers from 0 on, as sorted disjoint inclusive ranges; `len` counts the members."""

    __slots__ = ("_firsts", "_lasts", "_size")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._size = 0
        for first, last in ranges:
            self.add_range(first, last)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, index: int) -> bool:
        at = bisect_right(self._firsts, index) - 1
        return at >= 0 and index <= self._lasts[at]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges():
            yield from range(first, last + 1)

    def ranges(self) -> list[tuple[int, int]]:
        """The members as inclusive ranges, lowest first, none touching the next."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def add(self, index: int) -> None:
        """Put `index` in; nothing happens when it is there."""
        self.add_range(index, index)

    def add_range(self, first: int, last: int) -> None:
        """Put `first` to `last` in, both included, merging with what it touches."""
        if first > last:
            return
        low = bisect_right(self._lasts, first - 2)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._size -= sum(
            b - a + 1 for a, b in zip(self._firsts[low:high], self._lasts[low:high], strict=True)
        )
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        self._size += last - first + 1

    def discard(self, index: int) -> bool:
        """Take `index` out; False when it was not there."""
        at = bisect_right(self._firsts, index) - 1
        if at < 0 or index > self._lasts[at]:
            return False
        first, last = self._firsts[at], self._lasts[at]
        kept = [(a, b) for a, b in ((first, index - 1), (index + 1, last)) if a <= b]
        self._firsts[at : at + 1] = [a for a, _ in kept]
        self._lasts[at : at + 1] = [b for _, b in kept]
        self._size -= 1
        return True

    def take_range(self, first: int, last: int) -> list[tuple[int, int]]:
        """Take the members between `first` and `last`, both included, out; they are returned."""
        low = bisect_right(self._lasts, first - 1)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return []
        cut = list(zip(self._firsts[low:high], self._lasts[low:high], strict=True))
        taken = [(max(a, first), min(b, last)) for a, b in cut]
        kept = [(cut[0][0], first - 1), (last + 1, cut[-1][1])]
        kept = [(a, b) for a, b in kept if a <= b]
        self._firsts[low:high] = [a for a, _ in kept]
        self._lasts[low:high] = [b for _, b in kept]
        self._size -= sum(b - a + 1 for a, b in taken)
        return taken

    @property
    def first(self) -> int | None:
        """The lowest member."""
        return self._firsts[0] if self._firsts else None

    def pop_first(self) -> int:
        """Take the lowest member out; the set must not be empty."""
        index = self._firsts[0]
        if index == self._lasts[0]:
            del self._firsts[0], self._lasts[0]
        else:
            self._firsts[0] = index + 1
        self._size -= 1
        return index
