"""A scheduler to talk to in vCPUs and names, for every test of scheduling."""

from __future__ import annotations

from itertools import count

import pytest

from tidemill.platform.clock import Now
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.scheduler import Scheduler
from tidemill.services.batch.scheduling.spec import (
    EnvironmentSpec,
    FairShare,
    QueueSpec,
    Waiting,
)

GIB = 1024


def at(ms: int) -> Now:
    return Now(wall_ms=1_700_000_000_000 + ms, mono_ms=ms)


class World:
    """A scheduler, spoken to in vCPUs and names; time stands where `ms` is put."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        self.ms = 0
        self._seq = count(1)

    @property
    def now(self) -> Now:
        return at(self.ms)

    def environment(self, name: str = "local", vcpus: int = 8, **more: object) -> World:
        settings = {"memory_mib": 64 * GIB, **more}
        self.scheduler.set_environment(
            EnvironmentSpec(name=name, cpu_milli=vcpus * 1000, **settings)
        )
        return self

    def queue(
        self,
        name: str = "default",
        *environments: str,
        priority: int = 1,
        policy: FairShare | None = None,
    ) -> World:
        self.scheduler.set_queue(
            QueueSpec(
                name=name,
                priority=priority,
                environments=environments or ("local",),
                policy=policy,
            )
        )
        return self

    def submit(
        self,
        job_id: str,
        asks: Request | None = None,
        queue: str = "default",
        *,
        share: str = "",
        priority: int = 0,
        size: int | None = None,
        look_ahead: bool = True,
    ) -> Waiting:
        waiting = Waiting(
            job_id=job_id,
            queue=queue,
            seq=next(self._seq),
            request=asks or self.asks(),
            share=share,
            priority=priority,
            indexes=None if size is None else IndexSet([(0, size - 1)]),
            look_ahead=look_ahead,
        )
        self.scheduler.add(waiting)
        return waiting

    @staticmethod
    def asks(vcpus: float = 1, memory_mib: int = 512, gpus: int = 0, **consumables: int) -> Request:
        """What a job asks for; consumables by keyword."""
        return Request(int(vcpus * 1000), memory_mib, gpus, tuple(sorted(consumables.items())))

    def cycle(self) -> list[str]:
        return [f"{each.key}@{each.environment}" for each in self.scheduler.cycle(self.now)]

    def why(self, key: str) -> str:
        return self.scheduler.explain(key, self.now)

    def consumable(self, name: str, total: int, *, replenishable: bool = True) -> World:
        self.scheduler.set_consumable(name, total, replenishable)
        return self

    def release(self, *keys: str) -> None:
        for key in keys:
            assert self.scheduler.release(key, self.now)


@pytest.fixture
def world() -> World:
    """Nothing yet: no environment, no queue."""
    return World()


@pytest.fixture
def small(world: World) -> World:
    """One queue on one environment of two vCPUs."""
    return world.environment(vcpus=2).queue()
