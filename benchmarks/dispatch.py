"""Dispatch costs the same with a million jobs waiting as with a thousand.

Both worlds are kept at their size: each job that ends makes room for one that waits, and one
more joins the line. Runs of the two alternate, so that both meet the same mood of the machine.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from itertools import count

from benchmarks.report import claim, in_turn
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

STEPS = 1_000
RUNS = 31
SLOTS = 16
SHARES = 1_000
RATIO_MAX = 1.2
PAIR_MAX_US = 15
ONE = Request(1000, 1)


class World:
    """One queue, 16 vCPUs in use, and a line that is kept at its length."""

    def __init__(self, policy: FairShare | None = None) -> None:
        self.scheduler = Scheduler()
        self.scheduler.set_environment(
            EnvironmentSpec(name="local", cpu_milli=1000 * SLOTS, memory_mib=1 << 20)
        )
        self.scheduler.set_queue(
            QueueSpec(name="default", priority=1, environments=("local",), policy=policy)
        )
        self.seq = count(1)
        self.ms = 0
        self.running: list[str] = []

    def submit(self, indexes: IndexSet | None = None) -> None:
        """One job, of the next share in turn, or one array."""
        seq = next(self.seq)
        self.scheduler.add(
            Waiting(
                job_id=f"00000000-0000-4000-8000-{seq:012}",
                queue="default",
                seq=seq,
                request=ONE,
                share=f"share{seq % SHARES}",
                indexes=indexes,
            )
        )

    def cost_us(self, refill: Callable[[], None]) -> float:
        """CPU microseconds for one admission and one release; refilling is not counted."""
        spent_ns = pairs = 0
        while pairs < STEPS:
            self.ms += 10
            now = Now(wall_ms=self.ms, mono_ms=self.ms)
            ended, self.running = self.running, []
            for _ in ended:
                refill()
            begun_ns = time.process_time_ns()
            for key in ended:
                self.scheduler.release(key, now)
            admissions = self.scheduler.cycle(now)
            spent_ns += time.process_time_ns() - begun_ns
            self.running = [admission.key for admission in admissions]
            pairs += len(admissions)
        return spent_ns / pairs / 1000


def array(size: int) -> Callable[[], float]:
    """A world with one array of which `size` children wait."""
    world, indexes, following = World(), IndexSet([(0, size - 1)]), count(size)
    world.submit(indexes)
    return lambda: world.cost_us(lambda: indexes.add(next(following)))


def jobs(number: int, policy: FairShare | None) -> Callable[[], float]:
    """A world in which `number` separate jobs of 1,000 shares wait."""
    world = World(policy)
    for _ in range(number):
        world.submit()
    return lambda: world.cost_us(world.submit)


def bytes_of(build: Callable[[], object]) -> int:
    """The memory that what `build` makes holds on to."""
    gc.collect()
    tracemalloc.start()
    kept = build()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held


def compare(name: str, build: Callable[[int], Callable[[], float]], few: int, many: int) -> None:
    """Print what a dispatch costs with `many` waiting, beside `few`."""
    mine, other = build(many), build(few)
    mine(), other()  # the first run fills the slots and warms up
    big_us, small_us, ratio = in_turn(mine, other, RUNS)
    measured = f"{ratio:.2f}x ({small_us:.1f} us with {few:,}, {big_us:.1f} us with {many:,})"
    claim(f"dispatch, {name}", measured, f"<= {RATIO_MAX}x", ratio <= RATIO_MAX)
    pair, target = f"{big_us:.1f} us", f"< {PAIR_MAX_US} us"
    claim(f"admission + release, {name}", pair, target, big_us < PAIR_MAX_US)


def main() -> None:
    """Print the claims, then the memory."""
    fair = FairShare(decay_s=600)
    compare("one array", array, 1_000, 1_000_000)
    compare("separate jobs, FIFO", lambda number: jobs(number, None), 1_000, 100_000)
    compare("separate jobs, 1,000 shares", lambda number: jobs(number, fair), 1_000, 100_000)
    held = bytes_of(lambda: array(1_000_000))
    print(f"memory of the scheduler, an array of 1,000,000: {held / 1024:.0f} KiB")
    held = bytes_of(lambda: jobs(100_000, fair))
    print(
        f"memory of the scheduler, 100,000 jobs in 1,000 shares: {held / 1e6:.0f} MB,"
        f" {held / 100_000:.0f} bytes a job"
    )


if __name__ == "__main__":
    main()
