"""The scheduler beside a slow, obvious model of its rules, over any sequence of events.

The model keeps plain lists, sorts them anew for every decision and integrates each share's use
from its history; the scheduler must admit the same jobs to the same places in the same order.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from math import exp
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tidemill.platform.clock import Now
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.scheduler import Scheduler
from tidemill.services.batch.scheduling.spec import (
    Admission,
    EnvironmentSpec,
    FairShare,
    QueueSpec,
    Waiting,
)

# Weights without small common multiples, so that two shares never stand exactly alike by chance.
POLICY = FairShare(
    decay_s=10, reservation_percent=30, weights=(("A", 1.0), ("B", 0.3717), ("C*", 2.1391))
)
WEIGHTS = {"A": 1.0, "B": 0.3717, "Cx": 2.1391, "D": 1.0}
QUEUES = (
    QueueSpec(name="high", priority=5, environments=("small", "large")),
    QueueSpec(name="fifo", priority=1, environments=("small", "large")),
    QueueSpec(name="twin", priority=1, environments=("large",)),
    QueueSpec(name="fair", priority=1, environments=("large", "small"), policy=POLICY),
)
SIZES = {"small": (2000, 4, 0), "large": (6000, 16, 2)}


@dataclass
class Job:
    """One waiting unit of the model."""

    waiting: Waiting
    index: int | None

    @property
    def key(self) -> str:
        job_id = self.waiting.job_id
        return job_id if self.index is None else f"{job_id}:{self.index}"


@dataclass
class Run:
    """One attempt of the model, running or over."""

    job: Job
    environment: str
    start_ms: int
    end_ms: int | None = None


@dataclass
class Model:
    """The rules of scheduling/README.md, as plainly as they can be written."""

    sizes: dict[str, tuple[int, int, int]] = field(default_factory=lambda: dict(SIZES))
    closed: set[str] = field(default_factory=set)
    totals: dict[str, int] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    lasts_ms: dict[str, float] = field(default_factory=dict)
    guess_ms: dict[str, float] = field(default_factory=dict)

    def end(self, run: Run, now_ms: int) -> None:
        run.end_ms = now_ms
        lasted_ms, share = now_ms - run.start_ms, run.job.waiting.share
        for whose in (share, "all") if run.job.waiting.queue == "fair" else ():
            before_ms = self.lasts_ms.get(whose, lasted_ms)
            self.lasts_ms[whose] = before_ms + (lasted_ms - before_ms) / 8

    def running(self) -> list[Run]:
        return [run for run in self.runs if run.end_ms is None]

    def free(self, environment: str) -> list[int]:
        used = [
            (run.job.waiting.request) for run in self.running() if run.environment == environment
        ]
        cpu, memory, gpus = self.sizes[environment]
        return [
            cpu - sum(each.cpu_milli for each in used),
            memory - sum(each.memory_mib for each in used),
            gpus - sum(each.gpus for each in used),
        ]

    def available(self, name: str) -> int:
        held = [run.job.waiting.request.consumables for run in self.running()]
        return self.totals.get(name, 0) - sum(dict(each).get(name, 0) for each in held)

    def score(self, share: str, now_ms: int) -> float:
        use = 0.0
        lasts_ms = self.lasts_ms.get(share, self.guess_ms.get(share, 0))
        expected = min(1 / 16, max(1, lasts_ms) / (POLICY.decay_s * 1000))
        for run in self.runs:
            waiting = run.job.waiting
            if waiting.queue == "fair" and waiting.share == share:
                end_ms = now_ms if run.end_ms is None else run.end_ms
                decay_ms = POLICY.decay_s * 1000
                use += waiting.request.cpu_milli * (
                    exp((end_ms - now_ms) / decay_ms) - exp((run.start_ms - now_ms) / decay_ms)
                )
                use += waiting.request.cpu_milli * (run.end_ms is None) * expected
        return WEIGHTS[share] * use

    def turn(self, job: Job, now_ms: int) -> tuple[Any, ...]:
        waiting = job.waiting
        if waiting.queue != "fair":
            return waiting.seq, job.index or 0
        mine = [each for each in self.jobs if each.waiting.queue == "fair"]
        oldest = min(each.waiting.seq for each in mine if each.waiting.share == waiting.share)
        score = self.score(waiting.share, now_ms)
        return score, oldest, -waiting.priority, waiting.seq, job.index or 0

    def is_held_by_reserve(self, job: Job) -> bool:
        mine = [run for run in self.running() if run.job.waiting.queue == "fair"]
        share = job.waiting.share
        if job.waiting.queue != "fair" or all(run.job.waiting.share != share for run in mine):
            return False
        active = {run.job.waiting.share for run in mine}
        active |= {each.waiting.share for each in self.jobs if each.waiting.queue == "fair"}
        total = sum(size[0] for name, size in self.sizes.items() if name not in self.closed)
        reserved = int(total * 0.3 ** len(active))
        used = sum(run.job.waiting.request.cpu_milli for run in mine)
        return used + job.waiting.request.cpu_milli > total - reserved

    def cycle(self, now_ms: int) -> list[tuple[str, str]]:
        """Admit; returns (key, environment) in order."""
        admitted = []
        kept = {name: [0, 0, 0] for name in self.sizes}
        claimed: Counter[str] = Counter()
        passed: set[tuple[str, tuple[str, ...]]] = set()
        while True:
            heads = []
            for queue in QUEUES:
                open_jobs = [
                    job
                    for job in self.jobs
                    if job.waiting.queue == queue.name and lane(job) not in passed
                ]
                if open_jobs:
                    head = min(open_jobs, key=lambda job: self.turn(job, now_ms))
                    heads.append((-queue.priority, head.waiting.seq, queue, head))
            if not heads:
                return admitted
            _, _, queue, head = min(heads, key=lambda each: each[:2])
            request = head.waiting.request
            wants = dict(request.consumables)
            if any(wants[name] > self.available(name) - claimed[name] for name in wants):
                if all(wants[name] <= self.totals.get(name, 0) for name in wants):
                    claimed.update(wants)
                passed.add(lane(head))
                continue
            environment = None
            if not self.is_held_by_reserve(head):
                environment = self.place(queue, request, kept)
                if environment is None and self.keep(queue, request, kept):
                    claimed.update(wants)
            if environment is None:
                passed |= {lane(job) for job in self.jobs if job.waiting.queue == queue.name}
                continue
            self.jobs.remove(head)
            self.runs.append(Run(head, environment, now_ms))
            if queue.name == "fair":
                self.guess_ms[head.waiting.share] = self.lasts_ms.get("all", 1e9)
            admitted.append((head.key, environment))

    def place(self, queue: QueueSpec, request: Request, kept: dict[str, list[int]]) -> str | None:
        wants = (request.cpu_milli, request.memory_mib, request.gpus)
        for name in queue.environments:
            room = [free - keep for free, keep in zip(self.free(name), kept[name], strict=True)]
            fits = all(not want or want <= left for want, left in zip(wants, room, strict=True))
            if fits and name not in self.closed:
                return name
        return None

    def keep(self, queue: QueueSpec, request: Request, kept: dict[str, list[int]]) -> bool:
        wants = (request.cpu_milli, request.memory_mib, request.gpus)
        for name in queue.environments:
            fits = all(want <= size for want, size in zip(wants, self.sizes[name], strict=True))
            if fits and name not in self.closed:
                kept[name] = [keep + want for keep, want in zip(kept[name], wants, strict=True)]
                return True
        return False


def lane(job: Job) -> tuple[str, tuple[str, ...]]:
    return job.waiting.queue, tuple(name for name, _ in job.waiting.request.consumables)


class Pair:
    """A scheduler and the model, told the same and compared after every step."""

    def __init__(self) -> None:
        self.fast = Scheduler()
        self.model = Model()
        self.now_ms = 0
        self.seq = 0
        self.waiting: dict[str, Waiting] = {}
        self.plan: list[tuple[str, str]] = []
        for name in SIZES:
            self.set_environment(name, *SIZES[name], True)
        for queue in QUEUES:
            self.fast.set_queue(queue)

    @property
    def now(self) -> Now:
        return Now(wall_ms=self.now_ms, mono_ms=self.now_ms)

    def set_environment(self, name: str, cpu: int, memory: int, gpus: int, is_open: bool) -> None:
        self.fast.set_environment(
            EnvironmentSpec(name=name, cpu_milli=cpu, memory_mib=memory, gpus=gpus, enabled=is_open)
        )
        self.model.sizes[name] = (cpu, memory, gpus)
        (self.model.closed.discard if is_open else self.model.closed.add)(name)

    def submit(
        self, queue: str, request: Request, share: str, priority: int, size: int | None
    ) -> None:
        self.seq += 1
        indexes = None if size is None else IndexSet([(0, size - 1)])
        waiting = Waiting(
            job_id=f"job{self.seq}",
            queue=queue,
            seq=self.seq,
            request=request,
            share=share,
            priority=priority,
            indexes=indexes,
        )
        self.waiting[waiting.job_id] = waiting
        units = [None] if size is None else range(size)
        self.model.jobs += [Job(waiting, index) for index in units]
        self.fast.add(waiting)

    def advance(self, ms: int) -> None:
        self.now_ms += ms

    def set_total(self, name: str, total: int) -> None:
        self.fast.set_consumable(name, total, True)
        self.model.totals[name] = total

    def release(self, number: int, retry: bool) -> None:
        running = self.model.running()
        if not running:
            return
        run = running[number % len(running)]
        self.model.end(run, self.now_ms)
        self.fast.release(run.job.key, self.now)
        if retry:
            if run.job.waiting.indexes is not None:
                run.job.waiting.indexes.add(run.job.index)
            self.fast.add(run.job.waiting)
            self.model.jobs.append(run.job)

    def remove(self, number: int) -> None:
        job_ids = sorted({job.waiting.job_id for job in self.model.jobs})
        if job_ids:
            gone = job_ids[number % len(job_ids)]
            self.fast.remove(gone)
            if self.waiting[gone].indexes is not None:
                for index in list(self.waiting[gone].indexes):
                    self.waiting[gone].indexes.discard(index)
            self.model.jobs = [job for job in self.model.jobs if job.waiting.job_id != gone]

    def step(self, name: str, *details: Any) -> None:
        getattr(self, name)(*details)
        admitted = self.fast.cycle(self.now)
        self.plan += [(each.key, each.environment) for each in admitted]
        assert [(each.key, each.environment) for each in admitted] == self.model.cycle(self.now_ms)
        self.check()

    def check(self) -> None:
        """What must hold whatever has happened."""
        for name in SIZES:
            use = self.fast.environment_use(name)
            size = self.model.sizes[name]
            assert [size[0] - use.cpu_milli, size[1] - use.memory_mib] == self.model.free(name)[:2]
        for name, total in self.model.totals.items():
            assert self.fast.consumable_in_use(name) == total - self.model.available(name)
        for blocked in self.fast.blocked(self.now):
            assert blocked.reason == self.fast.explain(blocked.job_id, self.now)
        for queue in QUEUES:
            waiting = [job.key for job in self.model.jobs if job.waiting.queue == queue.name]
            front = self.fast.front(queue.name, self.now, limit=10_000)
            shown = [Admission(job_id, index, "").key for job_id, index in front]
            assert sorted(shown) == sorted(waiting)


REQUESTS = st.builds(
    Request,
    cpu_milli=st.sampled_from([250, 500, 1000, 1000, 2000, 4000, 6000, 9000]),
    memory_mib=st.sampled_from([1, 1, 2, 5, 12]),
    gpus=st.sampled_from([0, 0, 0, 0, 1, 2]),
    consumables=st.sampled_from(
        [(), (), (), (), (("api", 1),), (("api", 2),), (("api", 1), ("key", 1)), (("key", 1),)]
    ),
)
STEPS = st.one_of(
    st.tuples(
        st.just("submit"),
        st.sampled_from([queue.name for queue in QUEUES]),
        REQUESTS,
        st.sampled_from(sorted(WEIGHTS)),
        st.integers(0, 2),
        st.one_of(st.none(), st.none(), st.integers(1, 5)),
    ),
    st.tuples(st.just("release"), st.integers(0, 30), st.sampled_from([False, False, True])),
    st.tuples(st.just("advance"), st.integers(1, 20_000)),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("set_total"), st.sampled_from(["api", "key"]), st.integers(0, 4)),
    st.builds(
        lambda name, cpu, is_open: ("set_environment", name, cpu, *SIZES[name][1:], is_open),
        st.sampled_from(sorted(SIZES)),
        st.sampled_from([1000, 4000, 6000]),
        st.sampled_from([True, True, True, False]),
    ),
)


@given(st.lists(STEPS, min_size=10, max_size=60))
@settings(max_examples=200, deadline=None)
def test_it_decides_as_the_plain_model_does(steps: list[tuple[Any, ...]]) -> None:
    pair = Pair()
    for step in steps:
        pair.step(*step)


@given(st.lists(STEPS, max_size=30))
@settings(max_examples=30, deadline=None)
def test_the_same_events_give_the_same_plan(steps: list[tuple[Any, ...]]) -> None:
    plans = []
    for _ in range(2):
        pair = Pair()
        for step in steps:
            pair.step(*step)
        plans.append(pair.plan)
    assert plans[0] == plans[1]


@given(
    st.lists(st.tuples(st.sampled_from([500, 1000, 2000]), st.integers(1, 400)), min_size=30),
    st.integers(0, 20),
    st.sampled_from(["same", "low"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_large_job_starts_once_those_before_it_have_ended(
    small: list[tuple[int, int]], before: int, queue_of_small: str, look_ahead: bool
) -> None:
    """However many little ones keep coming, none that is admitted later delays it."""
    scheduler = Scheduler()
    scheduler.set_environment(
        EnvironmentSpec(name="here", cpu_milli=4000, memory_mib=64, look_ahead=look_ahead)
    )
    scheduler.set_queue(QueueSpec(name="same", priority=5, environments=("here",)))
    scheduler.set_queue(QueueSpec(name="low", priority=1, environments=("here",)))
    ends: dict[str, int] = {}
    is_in, large_since = False, None
    for step in range(5000):
        now = Now(wall_ms=step * 10, mono_ms=step * 10)
        cpu, lasts_ms = small[step % len(small)]
        scheduler.add(job(f"{lasts_ms}/{step}", queue_of_small, 2 * step, Request(cpu, 1)))
        if step == before:
            scheduler.add(job("large", "same", 2 * step + 1, Request(4000, 1)))
            large_since = set(ends)
            is_in = True
        for key in [key for key, end_ms in ends.items() if end_ms <= now.mono_ms]:
            scheduler.release(key, now)
            del ends[key]
        for admission in scheduler.cycle(now):
            if admission.job_id == "large":
                assert large_since is not None
                return
            lasts_ms = int(admission.job_id.partition("/")[0])
            ends[admission.key] = now.mono_ms + lasts_ms
            if is_in and queue_of_small == "low":
                assert scheduler.environment_use("here").ahead == 0
        if is_in and not ends:
            pytest.fail("nothing runs and the large job still waits")
    pytest.fail("the large job starved")


@given(
    st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=2, max_size=4),
    st.lists(st.integers(500, 3000), min_size=20, max_size=20),
)
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_shares_converge_to_their_weights(weights: list[float], durations: list[int]) -> None:
    """While all have work, each gets vCPU time in proportion to 1 / weight factor."""
    policy = FairShare(
        decay_s=30, weights=tuple((f"share{n}", weight) for n, weight in enumerate(weights))
    )
    scheduler = Scheduler()
    scheduler.set_environment(EnvironmentSpec(name="here", cpu_milli=8000, memory_mib=64))
    scheduler.set_queue(QueueSpec(name="fair", priority=1, environments=("here",), policy=policy))
    for n in range(len(weights)):
        array = IndexSet([(0, 10_000_000)])
        scheduler.add(job(f"share{n}", "fair", n, Request(1000, 1), f"share{n}", array))
    used = Counter(simulate(scheduler, durations, until_ms=600_000))
    parts = [1 / weight for weight in weights]
    for n, part in enumerate(parts):
        got = used[f"share{n}"] / sum(used.values())
        assert got == pytest.approx(part / sum(parts), rel=0.08, abs=0.01)


@given(
    st.tuples(st.integers(2, 150), st.integers(2, 150)),
    st.sampled_from([(0.1, 1.0), (1.0, 0.1), (0.25, 0.5), (1.0, 1.0)]),
    st.booleans(),
)
@example((100, 100), (0.1, 1.0), True)
@example((5, 5), (0.1, 1.0), True)
@example((100, 5), (0.1, 1.0), True)
@settings(max_examples=40, deadline=None)
def test_short_jobs_on_one_vcpu_converge_at_once(
    lasts_ms: tuple[int, int], weights: tuple[float, float], look_ahead: bool
) -> None:
    """Within the first jobs, also where the engine holds the next ones ahead."""
    policy = FairShare(decay_s=600, weights=(("A", weights[0]), ("B", weights[1])))
    scheduler = Scheduler()
    scheduler.set_environment(
        EnvironmentSpec(name="here", cpu_milli=1000, memory_mib=64, look_ahead=look_ahead)
    )
    scheduler.set_queue(QueueSpec(name="fair", priority=1, environments=("here",), policy=policy))
    for n, share in enumerate("AB"):
        scheduler.add(job(share, "fair", n, Request(1000, 1), share, IndexSet([(0, 100_000)])))
    used = one_after_another(scheduler, {"A": lasts_ms[0], "B": lasts_ms[1]}, count=400)
    owed = [used[share] * weight for share, weight in zip("AB", weights, strict=True)]
    a_job_each = max(ms * weight for ms, weight in zip(lasts_ms, weights, strict=True))
    assert owed[0] == pytest.approx(owed[1], rel=0.15, abs=4 * a_job_each)


def one_after_another(scheduler: Scheduler, lasts_ms: dict[str, int], count: int) -> Counter[str]:
    """Run `count` attempts on one vCPU, in the order admitted; the milliseconds of each job."""
    used: Counter[str] = Counter()
    admitted: deque[Admission] = deque()
    now = Now(wall_ms=0, mono_ms=0)
    for _ in range(count):
        admitted += scheduler.cycle(now)
        admission = admitted.popleft()
        used[admission.job_id] += lasts_ms[admission.job_id]
        now_ms = now.mono_ms + lasts_ms[admission.job_id]
        now = Now(wall_ms=now_ms, mono_ms=now_ms)
        scheduler.release(admission.key, now)
    return used


def simulate(scheduler: Scheduler, durations: list[int], until_ms: int) -> Counter[str]:
    """Run the array jobs until then; the vCPU milliseconds of each."""
    used: Counter[str] = Counter()
    ends: list[tuple[int, str]] = []
    now_ms, started = 0, 0
    while now_ms < until_ms:
        now = Now(wall_ms=now_ms, mono_ms=now_ms)
        for admission in scheduler.cycle(now):
            lasts_ms = durations[started % len(durations)]
            started += 1
            used[admission.job_id] += lasts_ms
            ends.append((now_ms + lasts_ms, admission.key))
        ends.sort()
        now_ms, key = ends.pop(0)
        scheduler.release(key, Now(wall_ms=now_ms, mono_ms=now_ms))
    return used


def job(
    job_id: str,
    queue: str,
    seq: int,
    request: Request,
    share: str = "",
    indexes: IndexSet | None = None,
) -> Waiting:
    return Waiting(
        job_id=job_id, queue=queue, seq=seq, request=request, share=share, indexes=indexes
    )
