"""What waiting heads keep from those behind them, during one cycle.

A head that has no room keeps room in one environment; a head that lacks a consumable resource
lays claim to what it needs. Both only against jobs whose turn comes later, and both are worked
out anew in every cycle, so that nothing is kept for a job that has gone. What the last cycle
left is what explanations speak of.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Consumable, Environment
from tidemill.services.batch.scheduling.queue import Queue
from tidemill.services.batch.scheduling.spec import Waiting


class Reservations:
    """Room kept and consumables claimed since the cycle began."""

    __slots__ = ("_claimed", "_kept")

    def __init__(self) -> None:
        self._kept: list[Environment] = []
        self._claimed: list[Consumable] = []

    def clear(self) -> None:
        """Begin a cycle: nothing is kept or claimed."""
        for environment in self._kept:
            environment.forget_kept()
        for consumable in self._claimed:
            consumable.claimed = 0
        self._kept.clear()
        self._claimed.clear()

    def keep_room(self, queue: Queue, waiting: Waiting) -> bool:
        """Keep room for a queue's head that has none.

        In one environment only, the first that is large enough, and the same one every time:
        room that is kept in several would idle several, and room that wanders is never enough.
        False when none is large enough: then nothing is kept, for the job can't start.
        """
        for environment in queue.environments:
            if environment.is_open and environment.could_hold(waiting.request):
                environment.keep(queue.spec.priority, waiting)
                self._kept.append(environment)
                return True
        return False

    def claim(self, consumables: Mapping[str, Consumable], request: Request) -> None:
        """Lay claim to all that `request` names, so that others can't take it bit by bit.

        Only where all that is missing comes back by itself: a job that waits until somebody tops
        a resource up would hold the others hostage.
        """
        wanted = [(consumables.get(name), amount) for name, amount in request.consumables]
        for consumable, amount in wanted:
            if consumable is None or amount > consumable.attainable:
                return
        for consumable, amount in wanted:
            if consumable is not None:
                consumable.claimed += amount
                self._claimed.append(consumable)


def lacks(consumables: Mapping[str, Consumable], request: Request) -> bool:
    """Whether too little is free of some consumable resource that `request` names."""
    for name, amount in request.consumables:
        consumable = consumables.get(name)
        if consumable is None or amount > consumable.available - consumable.claimed:
            return True
    return False
