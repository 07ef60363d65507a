"""What falls due when: the earliest first, any of them forgettable.

When attempts have run for too long, when delays and pauses are over.
"""

from __future__ import annotations

import heapq


class Deadlines:
    """Deadlines on monotonic time, one for each key.

    Those that are dropped stay in the heap until they surface or outnumber the others, so that
    neither setting nor dropping one ever costs more than a logarithm.
    """

    __slots__ = ("_due_ms", "_heap")

    def __init__(self) -> None:
        self._due_ms: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due_ms)

    def __contains__(self, key: str) -> bool:
        return key in self._due_ms

    def left_ms(self, key: str, mono_ms: int) -> int:
        """How long it is until `key`, which is known, falls due."""
        return max(0, self._due_ms[key] - mono_ms)

    def keys(self) -> list[str]:
        """What will fall due."""
        return list(self._due_ms)

    def set(self, key: str, due_ms: int) -> None:
        """Have `key` fall due at `due_ms`, instead of when it was to before."""
        self._due_ms[key] = due_ms
        heapq.heappush(self._heap, (due_ms, key))

    def drop(self, key: str) -> None:
        """Forget `key`, if it is known."""
        if self._due_ms.pop(key, None) is None:
            return
        if len(self._heap) > 2 * len(self._due_ms) + 64:
            self._heap = [(due_ms, key) for key, due_ms in self._due_ms.items()]
            heapq.heapify(self._heap)

    def take_due(self, mono_ms: int) -> list[str]:
        """Take out what is due at `mono_ms`, earliest first."""
        found = []
        while self._heap and self._heap[0][0] <= mono_ms:
            due_ms, key = heapq.heappop(self._heap)
            if self._due_ms.get(key) == due_ms:
                del self._due_ms[key]
                found.append(key)
        return found

    @property
    def next_ms(self) -> int | None:
        """The earliest deadline."""
        while self._heap and self._due_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
