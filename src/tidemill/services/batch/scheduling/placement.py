"""Where a job goes: the first compute environment, in the queue's order, that has room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Consumable, Environment
from tidemill.services.batch.scheduling.spec import Waiting


def place(environments: Sequence[Environment], waiting: Waiting, now_ms: int) -> Environment | None:
    """Choose an environment for `waiting`, or None when it has to wait.

    Room anywhere comes before looking ahead anywhere: an environment whose engine would hold the
    job back is worse than a later one where it starts at once.
    """
    request = waiting.request
    for environment in environments:
        if environment.is_open and environment.fits(request):
            return environment
    if waiting.look_ahead:
        for environment in environments:
            if environment.is_open and environment.may_look_ahead(request, now_ms):
                return environment
    return None


def reserve(environments: Sequence[Environment], waiting: Waiting) -> bool:
    """Keep room for a head that does not fit, against all whose turn comes later.

    In one environment only, the first that is large enough, and the same one every time: room
    that is kept in several would idle several, and room that wanders is never enough. False
    when none is large enough: then nothing is kept.
    """
    for environment in environments:
        if environment.is_open and environment.could_hold(waiting.request):
            environment.keep(waiting.job_id, waiting.request)
            return True
    return False


def lacks(consumables: Mapping[str, Consumable], request: Request) -> bool:
    """Whether too little is free of some consumable resource that `request` names."""
    for name, amount in request.consumables:
        consumable = consumables.get(name)
        if consumable is None or amount > consumable.available - consumable.claimed:
            return True
    return False


def claim(consumables: Mapping[str, Consumable], request: Request) -> None:
    """Lay claim to all that `request` names, so that those behind can't take it bit by bit.

    Only where all that is missing comes back by itself: a job that waits for someone to top up a
    resource would hold the others' hostage.
    """
    for name, amount in request.consumables:
        consumable = consumables.get(name)
        if consumable is None or amount > consumable.total:
            return
        if not consumable.replenishable and amount > consumable.available:
            return
    for name, amount in request.consumables:
        consumables[name].claimed += amount
