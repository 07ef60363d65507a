"""Holds attempts back until there is room: the size of each pool, what it runs, what waits.

Pure bookkeeping. Within a pool attempts start strictly in the order given: a head that does not
fit waits, and all behind it, as the core has ordered them. A head that is larger than its whole
pool, which was shrunk after it was placed, starts when it has the pool to itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.engines.process.protocol import Order


class Pool:
    """One compute environment's room; without a known size nothing starts in it."""

    __slots__ = ("cpu_free", "memory_free", "running", "size", "waiting")

    def __init__(self) -> None:
        self.size: tuple[int, int] | None = None
        self.cpu_free = 0
        self.memory_free = 0
        self.running = 0
        self.waiting: dict[str, Order] = {}

    def resize(self, size: tuple[int, int] | None) -> None:
        """Take another size; what runs stays, even beyond it."""
        cpu_milli, memory_mib = self.size or (0, 0)
        self.size = size
        new_cpu_milli, new_memory_mib = size or (0, 0)
        self.cpu_free += new_cpu_milli - cpu_milli
        self.memory_free += new_memory_mib - memory_mib

    def take(self) -> Order | None:
        """The next that starts now, its room taken; None when nothing may."""
        if not self.waiting or self.size is None:
            return None
        attempt_id = next(iter(self.waiting))
        order = self.waiting[attempt_id]
        fits = order.cpu_milli <= self.cpu_free and order.memory_mib <= self.memory_free
        if not fits and self.running:
            return None
        del self.waiting[attempt_id]
        self.running += 1
        self.cpu_free -= order.cpu_milli
        self.memory_free -= order.memory_mib
        return order

    def put_back(self, order: Order) -> None:
        """`order` can't start for now: it is the head again."""
        self.release(order)
        self.waiting = {order.attempt_id: order, **self.waiting}

    def release(self, order: Order) -> None:
        """`order` has ended: its room is free again."""
        self.running -= 1
        self.cpu_free += order.cpu_milli
        self.memory_free += order.memory_mib


class Pools:
    """All pools, by name."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}
        self._held: dict[str, Pool] = {}

    def resize(self, sizes: Sequence[tuple[str, int, int]]) -> None:
        """The sizes of all pools; one that is not named any more starts nothing."""
        given = {name: (cpu_milli, memory_mib) for name, cpu_milli, memory_mib in sizes}
        for name in given:
            self._pool(name)
        for name, pool in list(self._pools.items()):
            pool.resize(given.get(name))
            if name not in given and not pool.running and not pool.waiting:
                del self._pools[name]

    def hold(self, order: Order) -> None:
        """Put `order` at the end of its pool's row."""
        pool = self._pool(order.pool)
        pool.waiting[order.attempt_id] = order
        self._held[order.attempt_id] = pool

    def holds(self, attempt_id: str) -> bool:
        """Whether that attempt waits here."""
        return attempt_id in self._held

    def drop(self, attempt_id: str) -> bool:
        """Take a waiting attempt out; False when it does not wait here."""
        pool = self._held.pop(attempt_id, None)
        if pool is None:
            return False
        del pool.waiting[attempt_id]
        return True

    @property
    def is_fed(self) -> bool:
        """Whether attempts wait here to start as others end."""
        return bool(self._held)

    def held(self) -> list[str]:
        """The ids of all that wait."""
        return list(self._held)

    def take(self) -> Iterator[Order]:
        """What starts now, each pool's in its order."""
        if not self._held:
            return
        for pool in self._pools.values():
            while (order := pool.take()) is not None:
                del self._held[order.attempt_id]
                yield order

    def put_back(self, order: Order) -> None:
        """Have an attempt that was taken wait again, before all others of its pool."""
        pool = self._held[order.attempt_id] = self._pools[order.pool]
        pool.put_back(order)

    def release(self, order: Order) -> None:
        """Give back the room of an attempt that was taken."""
        self._pools[order.pool].release(order)

    def _pool(self, name: str) -> Pool:
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = Pool()
        return pool
