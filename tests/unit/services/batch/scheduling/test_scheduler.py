"""Admission over several queues and environments, told as a user of the queues would see it."""

from __future__ import annotations

from itertools import count

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


def request(vcpus: float = 1, memory_mib: int = 512, gpus: int = 0, **consumables: int) -> Request:
    return Request(int(vcpus * 1000), memory_mib, gpus, tuple(sorted(consumables.items())))


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
            EnvironmentSpec(name=name, cpu_milli=vcpus * 1000, **settings)  # type: ignore[arg-type]
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
            request=asks or request(),
            share=share,
            priority=priority,
            indexes=None if size is None else IndexSet([(0, size - 1)]),
            look_ahead=look_ahead,
        )
        self.scheduler.add(waiting)
        return waiting

    def cycle(self) -> list[str]:
        return [f"{each.key}@{each.environment}" for each in self.scheduler.cycle(self.now)]

    def release(self, *keys: str) -> None:
        for key in keys:
            assert self.scheduler.release(key, self.now)


def small_world(vcpus: int = 2) -> World:
    return World().environment(vcpus=vcpus).queue()


def test_jobs_start_in_the_order_of_their_submission() -> None:
    world = small_world(vcpus=2)
    for name in "abc":
        world.submit(name)
    assert world.cycle() == ["a@local", "b@local"]
    assert world.cycle() == []
    world.release("a")
    assert world.cycle() == ["c@local"]


def test_an_array_gives_its_children_one_by_one() -> None:
    world = small_world(vcpus=2)
    world.submit("array", size=3)
    world.submit("after")
    assert world.cycle() == ["array:0@local", "array:1@local"]
    world.release("array:0", "array:1")
    assert world.cycle() == ["array:2@local", "after@local"]


def test_a_child_that_is_put_back_goes_first_again() -> None:
    world = small_world(vcpus=1)
    array = world.submit("array", size=3)
    assert world.cycle() == ["array:0@local"]
    world.release("array:0")
    array.indexes.add(0)
    world.scheduler.add(array)
    assert world.cycle() == ["array:0@local"]


def test_an_array_whose_last_child_was_taken_is_added_again() -> None:
    world = small_world(vcpus=1)
    array = world.submit("array", size=1)
    world.cycle()
    world.release("array:0")
    array.indexes.add(0)
    world.scheduler.add(array)
    assert world.cycle() == ["array:0@local"]


def test_an_array_emptied_by_cancellation_leaves_the_line() -> None:
    world = small_world(vcpus=1)
    array = world.submit("array", size=1)
    world.submit("next")
    array.indexes.discard(0)
    world.scheduler.add(array)
    assert world.cycle() == ["next@local"]


def test_the_queue_of_higher_priority_goes_first() -> None:
    world = small_world(vcpus=1).queue("urgent", priority=10)
    world.submit("plain")
    world.submit("pressing", queue="urgent")
    assert world.cycle() == ["pressing@local"]
    world.release("pressing")
    assert world.cycle() == ["plain@local"]


def test_queues_of_one_priority_share_one_order() -> None:
    world = small_world(vcpus=1).queue("other")
    for name, queue in (("a", "default"), ("b", "other"), ("c", "default"), ("d", "other")):
        world.submit(name, queue=queue)
    order = []
    for _ in range(4):
        (started,) = world.cycle()
        order.append(started.partition("@")[0])
        world.release(order[-1])
    assert order == ["a", "b", "c", "d"]


def test_the_next_environment_is_used_when_the_first_is_full() -> None:
    world = World().environment("spot", vcpus=1).environment("demand", vcpus=1)
    world.queue("default", "spot", "demand")
    for name in "abc":
        world.submit(name)
    assert world.cycle() == ["a@spot", "b@demand"]
    world.release("b")
    assert world.cycle() == ["c@demand"]


def test_a_disabled_environment_takes_nothing_and_keeps_what_runs() -> None:
    world = small_world(vcpus=2)
    world.submit("a")
    assert world.cycle() == ["a@local"]
    world.environment(vcpus=2, enabled=False)
    world.submit("b")
    assert world.cycle() == []
    assert world.scheduler.environment_use("local").running == 1
    world.environment(vcpus=2)
    assert world.cycle() == ["b@local"]


def test_a_job_taken_back_never_starts() -> None:
    world = small_world(vcpus=1)
    world.submit("a")
    world.submit("b")
    world.scheduler.remove("a")
    world.scheduler.remove("never there")
    assert world.cycle() == ["b@local"]


def test_a_late_or_repeated_end_is_no_matter() -> None:
    world = small_world(vcpus=1)
    world.submit("a")
    world.cycle()
    world.release("a")
    assert world.scheduler.release("a", world.now) is None
    assert world.scheduler.environment_use("local").cpu_milli == 0


def test_what_ran_before_a_restart_holds_its_room() -> None:
    world = small_world(vcpus=2)
    world.scheduler.occupy("old", "default", "local", request(2), "", world.now)
    world.submit("new")
    assert world.cycle() == []
    world.release("old")
    assert world.cycle() == ["new@local"]


def test_fractions_of_a_vcpu_add_up() -> None:
    world = small_world(vcpus=1)
    for name in "abcde":
        world.submit(name, request(0.25))
    assert len(world.cycle()) == 4
