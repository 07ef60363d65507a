"""Where a job goes: the first compute environment, in the queue's order, that has room for it."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.services.batch.scheduling.capacity import Environment
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
