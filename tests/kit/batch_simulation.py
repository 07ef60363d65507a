"""A seeded life of Batch in which everything goes wrong that can, at every step.

The server dies before and after commits, reports are delayed, repeated and come out of order,
the engine's runner dies with all that it ran. After each step the invariants are checked; at the
end everything is let go on, and must come to an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

from batch_world import World, finished, remembered

from tidemill.platform.engine import Exited, Lost, Observation, Started
from tidemill.services.batch import event, store
from tidemill.services.batch.command import (
    CancelJob,
    Change,
    DependencyType,
    NodeGroup,
    Nodes,
    RetryRule,
    RetryStrategy,
    SubmitJob,
    TerminateJob,
)
from tidemill.services.batch.dependency import FactsNeeded
from tidemill.services.batch.effect import (
    RecoverAttempt,
    SettleAttempt,
    StartAttempt,
    StopAttempt,
)
from tidemill.services.batch.error import Refused
from tidemill.services.batch.extension import Backoff, Extension
from tidemill.services.batch.job import StopKind
from tidemill.services.batch.progress import AttemptDetail, decode
from tidemill.services.batch.request import Request
from tidemill.services.batch.state import ARRAY, WORK, State

VCPUS = {"local": 6, "spare": 3}
MEMORY_MIB = 3_072
CREDITS = 40
FOR_EVER = 100_000
DEMANDS = [(), (), (), (("licence", 1),), (("credit", 1), ("licence", 1)), (("credit", 2),)]
INTERRUPTED = 75
BACKOFF = Backoff(4_000, 9_000)
EXTENSIONS = [
    None,
    None,
    None,
    Extension(delay_ms=7_000),
    Extension(delay_ms=90_000, backoff=BACKOFF),
    Extension(backoff=BACKOFF, interrupted=INTERRUPTED),
    Extension(interrupted=INTERRUPTED),
]
TERMINAL = (State.SUCCEEDED, State.FAILED)


class Demand(NamedTuple):
    """The room that an attempt needs, and where."""

    pool: str
    milli: int
    memory_mib: int


class Engine:
    """What runs on the machine, and what its runner's journal says; it survives the server."""

    def __init__(self, random: Random, *, look_ahead: bool) -> None:
        self.random = random
        self.look_ahead = look_ahead
        self.held: dict[str, Demand] = {}
        self.running: dict[str, Demand] = {}
        self.ended: dict[str, Observation] = {}
        self.stopping: set[str] = set()
        self.runs: Counter[str] = Counter()
        self.settled: set[str] = set()
        self.reports: list[Observation] = []

    def perform(self, effect: Any, at_ms: int) -> None:
        match effect:
            case StartAttempt(attempt_id=attempt_id):
                self._start(attempt_id, _demand(effect), at_ms)
            case StopAttempt(attempt_id=attempt_id):
                self._stop(attempt_id, at_ms)
            case RecoverAttempt(attempt_id=attempt_id):
                self._report_again(attempt_id, at_ms)
            case SettleAttempt(attempt_id=attempt_id):
                alive = attempt_id in self.running or attempt_id in self.held
                assert not alive, f"the end of {attempt_id} was recorded, and it runs on"
                self.ended.pop(attempt_id, None)
                self.settled.add(attempt_id)
            case _:
                pass

    def _start(self, attempt_id: str, demand: Demand, at_ms: int) -> None:
        assert attempt_id not in self.settled, f"{attempt_id} is started after its recorded end"
        if attempt_id in self.held or attempt_id in self.running or attempt_id in self.ended:
            self._report_again(attempt_id, at_ms)
        else:
            self.held[attempt_id] = demand

    def _stop(self, attempt_id: str, at_ms: int) -> None:
        if attempt_id in self.held:
            del self.held[attempt_id]
            self._end(Exited(attempt_id=attempt_id, at_ms=at_ms, exit_code=None))
        elif attempt_id in self.running:
            self.stopping.add(attempt_id)
        else:
            self._report_again(attempt_id, at_ms)

    def _report_again(self, attempt_id: str, at_ms: int) -> None:
        if attempt_id in self.running:
            self.reports.append(Started(attempt_id=attempt_id, at_ms=at_ms))
        elif attempt_id in self.ended:
            self.reports.append(self.ended[attempt_id])
        elif attempt_id not in self.held:
            self.reports.append(Lost(attempt_id=attempt_id, at_ms=at_ms))

    def _end(self, report: Observation) -> None:
        self.ended[report.attempt_id] = report
        self.reports.append(report)

    def begin_one(self, at_ms: int) -> None:
        attempt_id = self._next()
        if attempt_id is not None:
            self.running[attempt_id] = self.held.pop(attempt_id)
            self.runs[attempt_id] += 1
            self.reports.append(Started(attempt_id=attempt_id, at_ms=at_ms))

    def _next(self) -> str | None:
        """Any that is held; with look-ahead the first of its pool, when there is room for it."""
        if not self.held:
            return None
        if not self.look_ahead:
            return self.random.choice(list(self.held))
        pool = self.random.choice(sorted({each.pool for each in self.held.values()}))
        first = next(name for name, demand in self.held.items() if demand.pool == pool)
        fits = self.in_use(pool) + self.held[first].milli <= VCPUS[pool] * 1000
        return first if fits else None

    def in_use(self, pool: str) -> int:
        return sum(demand.milli for demand in self.running.values() if demand.pool == pool)

    def end_one(self, at_ms: int, *, well: bool = False) -> None:
        if not self.running:
            return
        attempt_id = self.random.choice(list(self.running))
        del self.running[attempt_id]
        code = 0 if well else self.random.choice([0, 0, 0, 1, 2, 137, INTERRUPTED])
        if attempt_id in self.stopping:
            code = self.random.choice([0, 143])
        started_ms = at_ms - self.random.randrange(50)
        self._end(
            Exited(attempt_id=attempt_id, at_ms=at_ms, exit_code=code, started_at_ms=started_ms)
        )

    def die(self, at_ms: int) -> None:
        """The runner is gone, and all that ran with it; what had ended stands in its journal."""
        for attempt_id in [*self.held, *self.running]:
            self._end(Lost(attempt_id=attempt_id, at_ms=at_ms))
        self.held.clear()
        self.running.clear()


class Simulation:
    """One life, all of it decided by `seed`."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        look_ahead = seed % 2 == 1
        self.world = World(VCPUS["local"], MEMORY_MIB, look_ahead=look_ahead)
        self.engine = Engine(self.random, look_ahead=look_ahead)
        self.pending: list[Any] = []
        self.acknowledged: set[str] = set()
        self.ends: dict[str, str] = {}
        self.told: dict[str, list[State]] = {}
        self.submissions: dict[str, SubmitJob] = {}
        self.submitted_ms: dict[str, int] = {}
        self._number = 0
        self.furnish()

    def furnish(self) -> None:
        """A second environment, a fair-share queue that uses both, and things to run out of."""
        change = self.world.change
        change(
            "CreateComputeEnvironment",
            computeEnvironmentName="spare",
            type="MANAGED",
            computeResources={"type": "EC2", "minvCpus": 0, "maxvCpus": VCPUS["spare"]},
        )
        policy = change("CreateSchedulingPolicy", name="tenants", fairsharePolicy={})
        order = [
            {"order": number, "computeEnvironment": name}
            for number, name in enumerate(("spare", "local"))
        ]
        action = {"state": "RUNNABLE", "action": "CANCEL", "maxTimeSeconds": 600}
        change(
            "CreateJobQueue",
            jobQueueName="urgent",
            priority=9,
            computeEnvironmentOrder=order,
            schedulingPolicyArn=policy["arn"],
            jobStateTimeLimitActions=[{**action, "reason": "CAPACITY"}],
        )
        for name, kind, quantity in (
            ("licence", "REPLENISHABLE", 2),
            ("credit", "NON_REPLENISHABLE", CREDITS),
        ):
            change(
                "CreateConsumableResource",
                consumableResourceName=name,
                resourceType=kind,
                totalQuantity=quantity,
            )

    def live(self, steps: int) -> None:
        """Take random steps, checking after each; then let everything come to its end."""
        moves: list[tuple[int, Callable[[], None]]] = [
            (20, self.submit),
            (6, self.stop_something),
            (25, self.perform),
            (25, lambda: self.engine.begin_one(self.now_ms)),
            (25, lambda: self.engine.end_one(self.now_ms)),
            (30, self.deliver),
            (8, self.pass_time),
            (3, self.die_after_commit),
            (3, self.die_before_commit),
            (1, self.lose_runner),
        ]
        weights = [weight for weight, _ in moves]
        for _ in range(steps):
            self.random.choices(moves, weights)[0][1]()
            self.check()
        self.come_to_rest()

    @property
    def now_ms(self) -> int:
        return self.world.now.wall_ms

    # What may happen

    def handle(self, *messages: Any) -> list[Any]:
        """One batch, committed; its effects wait to be performed."""
        outcome = self.world.core.handle(messages, self.world.now)
        assert not self.world.core.set_aside, self.world.core.set_aside
        self.world.database.commit(outcome.writes)
        self.pending += outcome.effects
        for each in outcome.events:
            self.hear(each.kind, each.body)
        for effect in outcome.effects:
            if isinstance(effect, StartAttempt):
                self.check_start(effect)
        return outcome.replies

    def submit(self) -> None:
        self._number += 1
        command = self.invent(f"job-{self._number}")
        self.submissions[command.job_id] = command
        self.submitted_ms[command.job_id] = self.now_ms
        while True:
            (reply,) = self.handle(command)
            if not isinstance(reply, FactsNeeded):
                break
            facts = {each: self.fact(each) for each in reply.job_ids}
            known = {name: getattr(command, name) for name in command.__slots__}
            command = SubmitJob(**{**known, "ended": {**command.ended, **facts}})
        if isinstance(reply, Refused):
            del self.submissions[command.job_id]
            return
        assert reply == command.job_id, reply
        self.acknowledged.add(command.job_id)

    def fact(self, job_id: str) -> Any:
        found = finished(store.ended(self.world.database, job_id))
        assert found is not None, f"{job_id} is neither active nor ended"
        return found

    def invent(self, job_id: str) -> SubmitJob:
        random = self.random
        known = list(self.acknowledged)[-8:]
        members: dict[str, Any] = {}
        kind = random.choice(["single", "single", "array", "array", "nodes"])
        milli, memory_mib = random.choice([1000, 1000, 2000, 4000]), random.choice([256, 512, 1024])
        if kind == "array":
            members["array_size"] = random.choice([2, 3, 5, 8])
        if kind == "nodes":
            count = random.choice([2, 3])
            group = NodeGroup(first=0, last=count - 1, request=Request(1000, 512))
            members["nodes"] = Nodes(count=count, main=random.randrange(count), groups=(group,))
            milli, memory_mib = count * 1000, count * 512
        return self.world.submission(
            job_id=job_id,
            request=Request(milli, memory_mib, 0, random.choice(DEMANDS)),
            queue=random.choice(["default", "default", "urgent"]),
            share=random.choice(["a", "b"]),
            after=random.sample(known, min(len(known), random.choice([0, 0, 1, 2]))),
            pairs_of=self._arrays_like(members.get("array_size")),
            sequential=kind == "array" and random.random() < 0.2,
            timeout_s=random.choice([None, None, 60, 120]),
            retry=random.choice(
                [
                    RetryStrategy(1),
                    RetryStrategy(3),
                    RetryStrategy(4, (RetryRule(False, exit_code="2"), RetryRule(True, "1*"))),
                ]
            ),
            extension=random.choice(EXTENSIONS),
            **members,
        )

    def _arrays_like(self, size: int | None) -> list[str]:
        if size is None or self.random.random() < 0.6:
            return []
        alike = [key for key, each in self.submissions.items() if each.array_size == size]
        return self.random.sample(alike, min(len(alike), self.random.choice([1, 1, 2])))

    def stop_something(self) -> None:
        if not self.acknowledged:
            return
        job_id = self.random.choice(sorted(self.acknowledged)[-12:])
        size = self.submissions[job_id].array_size
        if size is not None and self.random.random() < 0.5:
            job_id = f"{job_id}:{self.random.randrange(size)}"
        command = self.random.choice([CancelJob, TerminateJob])
        self.handle(command(job_id=job_id, reason="asked to"))

    def perform(self) -> None:
        """Some of the effects that wait, in order."""
        count = self.random.randint(0, len(self.pending))
        due, self.pending = self.pending[:count], self.pending[count:]
        for effect in due:
            self.engine.perform(effect, self.now_ms)

    def deliver(self) -> None:
        """Some of the reports, in any order, some of them twice."""
        reports = self.engine.reports
        self.random.shuffle(reports)
        count = self.random.randint(0, len(reports))
        due, self.engine.reports = reports[:count], reports[count:]
        twice = [each for each in due if self.random.random() < 0.2]
        self.handle(*due, *twice)
        if twice and self.random.random() < 0.5:
            self.engine.reports += twice

    def pass_time(self) -> None:
        self.world.ms += self.random.choice([1, 50, 5_000, 61_000, 601_000])
        self.handle()

    def die_after_commit(self) -> None:
        """What was committed may not have been performed, and reports under way are lost."""
        self.pending.clear()
        self.engine.reports.clear()
        self.world.core = self.world._boot()
        self.handle()

    def die_before_commit(self) -> None:
        """Decisions that were never durable never were."""
        reports = self.engine.reports
        messages: list[Any] = self.random.sample(reports, self.random.randint(0, len(reports)))
        messages.append(self.invent("never"))
        self.world.core.handle(messages, self.world.now)
        self.die_after_commit()

    def lose_runner(self) -> None:
        self.engine.die(self.now_ms)

    def come_to_rest(self) -> None:
        """Nothing is asked any more, and credit is given: all that was taken in must end."""
        more = {"consumableResource": "credit", "operation": "SET", "quantity": FOR_EVER}
        self.handle(Change(operation="UpdateConsumableResource", params=more, new_id=""))
        for _ in range(2_000):
            self.perform()
            self.engine.begin_one(self.now_ms)
            self.engine.end_one(self.now_ms, well=True)
            self.deliver()
            self.await_what_waits()
            if not self.active():
                break
        else:
            raise AssertionError(f"they never end: {self.active()}")
        self.check()
        for job_id in self.acknowledged:
            self.check_dependencies(self.submissions[job_id])

    def await_what_waits(self) -> None:
        """Have the next delay or pause come to its end."""
        book = self.world.core.book
        due_ms = [each.next_ms for each in (book.delays, book.pauses) if each.next_ms is not None]
        if due_ms:
            self.world.ms = max(self.world.ms, min(due_ms))
            self.handle()

    # What must hold

    def active(self) -> list[str]:
        return [job.id for job in self.world.core.book.jobs.values() if not job.has_ended]

    def hear(self, kind: str, body: bytes) -> None:
        if kind != event.JOB_STATE_CHANGE:
            return
        for step in event.steps(body):
            self.told.setdefault(step.job_id, []).append(step.state)

    def check(self) -> None:
        self.check_engine()
        self.check_room()
        self.check_rows()
        self.check_told()
        self.check_memory()

    def check_engine(self) -> None:
        twice = [attempt_id for attempt_id, count in self.engine.runs.items() if count > 1]
        assert not twice, f"{twice} ran twice"

    def check_start(self, order: StartAttempt) -> None:
        """Nothing starts before its delay is over, nor is it tried again before its pause is."""
        key, extension = order.attempt_id.rpartition("/")[0], order.spec.extension
        if extension is None:
            return
        assert self.now_ms >= self.submitted_ms[order.job_id] + extension.delay_ms, key
        if extension.backoff is None or order.number == 1:
            return
        past = self.world.attempts(order.job_id if order.node is not None else key)
        before = past[: order.number - 1]
        if self.failures(before[-1:], extension):
            least_ms = min(9_000, 4_000 << (self.failures(before, extension) - 1)) // 2
            assert self.now_ms >= before[-1].stopped_at + least_ms, f"{key} did not pause"

    def failures(self, past: Sequence[AttemptDetail], extension: Extension | None) -> int:
        codes = [each.container.exit_code for each in past]
        interrupted = None if extension is None else extension.interrupted
        return len([code for code in codes if code is None or code != interrupted])

    def check_attempts(self, key: str, state: State, *stops: object) -> None:
        """No more attempts than are allowed count, and an interrupted one ends nothing.

        `stops` are why it, or its array, was made to end: then an interruption may be its last.
        """
        command = self.submissions[key.partition(":")[0]]
        extension, past = command.extension, self.world.attempts(key)
        assert self.failures(past, extension) <= command.retry.attempts, f"{key}: {past}"
        if state is State.FAILED and past and not any(stops):
            assert self.failures(past[-1:], extension), f"{key}: {past}"
            if not command.retry.rules:
                assert self.failures(past, extension) == command.retry.attempts, f"{key}: {past}"

    def check_room(self) -> None:
        scheduler = self.world.core.scheduler
        for pool, vcpus in VCPUS.items():
            use = scheduler.environment_use(pool)
            assert use.cpu_milli <= vcpus * 1000, f"{pool}: {use} is more than there is"
            assert self.engine.in_use(pool) <= vcpus * 1000, f"{pool}: too much runs"
        held_mib = sum(scheduler.environment_use(pool).memory_mib for pool in VCPUS)
        assert held_mib <= MEMORY_MIB, f"{held_mib} MiB are more than there are"
        running_mib = sum(each.memory_mib for each in self.engine.running.values())
        assert running_mib <= MEMORY_MIB, f"{running_mib} MiB run"
        consumables = self.world.core.registry.resources.consumables
        for name, each in consumables.items():
            assert scheduler.consumable_in_use(name) <= each.total, f"{name}: too much is held"

    def check_rows(self) -> None:
        rows = self.world.database.connection.execute(
            "SELECT id, state, array_size, seq, progress, stopped_ms FROM batch_job"
        ).fetchall()
        found = {row[0] for row in rows}
        assert self.acknowledged <= found, f"{self.acknowledged - found} are lost"
        for job_id, state, size, seq, blob, stopped_ms in rows:
            self.check_end(job_id, f"{state} {stopped_ms} {blob}", State(state))
            stop = decode(blob).stop
            if size is not None:
                self.check_array(job_id, seq, size, State(state), stop)
            else:
                self.check_attempts(job_id, State(state), stop)

    def check_end(self, key: str, what: str, state: State) -> None:
        if state in TERMINAL:
            assert self.ends.setdefault(key, what) == what, f"the end of {key} has changed"

    def check_array(
        self, job_id: str, seq: int, size: int, state: State, stop: StopKind | None
    ) -> None:
        connection = self.world.database.connection
        counts: Counter[str] = Counter()
        for index, number, blob in connection.execute(
            "SELECT idx, state, progress FROM batch_child WHERE job = ?", (seq,)
        ):
            counts[State(number).name] += 1
            self.check_end(f"{job_id}:{index}", f"{number} {blob!r}", State(number))
            self.check_attempts(f"{job_id}:{index}", State(number), stop, decode(blob).stop)
        for first, last in connection.execute(
            "SELECT first_idx, last_idx FROM batch_range WHERE job = ?", (seq,)
        ):
            counts["FAILED"] += last - first + 1
        told = self.world.counts(job_id)
        assert sum(told.values()) == size, f"{job_id} of {size} counts {told}"
        for name in ("STARTING", "RUNNING", "SUCCEEDED", "FAILED"):
            assert told.get(name, 0) == counts[name], f"{job_id} counts {told}, rows {counts}"
        if state in TERMINAL:
            all_well = told.get("SUCCEEDED", 0) == size
            assert all_well == (state is State.SUCCEEDED), f"{job_id} {state.name}: {told}"

    def check_told(self) -> None:
        """Every state that was told follows from the one before by the tables."""
        for key, states in self.told.items():
            parent, colon, _ = key.partition(":")
            is_parent = (
                not colon
                and parent in self.submissions
                and (self.submissions[parent].array_size is not None)
            )
            table = ARRAY if is_parent else WORK
            for before, after in pairwise(states):
                follows = set(table[before].values())
                assert after in follows, f"{key}: {[each.name for each in states]}"

    def check_memory(self) -> None:
        """Memory is what a restart would make of the rows."""
        core = self.world.core
        before = remembered(core), self.line(core), self.due(core)
        again = self.world._boot()
        after = remembered(again), self.line(again), self.due(again)
        for mine, restored in zip(before, after, strict=True):
            assert mine == restored, _difference(mine, restored)

    def due(self, core: Any) -> Any:
        """What runs out of time, and when what waits for a time to come may go on."""
        book, now_ms = core.book, self.world.now.mono_ms
        timers = [
            {key: left for key in sorted(each.keys()) if (left := each.left_ms(key, now_ms))}
            for each in (book.delays, book.pauses)
        ]
        return sorted(book.deadlines.keys()), timers

    def line(self, core: Any) -> Any:
        """What holds room, what waits for some, and what is left of what runs out."""
        scheduler = core.scheduler
        uses = [scheduler.environment_use(pool) for pool in VCPUS]
        room = [
            use.running + use.ahead if self.engine.look_ahead else use.cpu_milli for use in uses
        ]
        waiting = {
            queue: sorted(str(each) for each in scheduler.front(queue, self.world.now, 10_000))
            for queue in ("default", "urgent")
        }
        totals = {name: each.total for name, each in core.registry.resources.consumables.items()}
        held = {name: scheduler.consumable_in_use(name) for name in totals}
        left = {name: scheduler._consumables[name].total for name in totals}
        return room, waiting, totals, held, left

    def check_dependencies(self, command: SubmitJob) -> None:
        """What succeeded had what it depends on succeed before."""
        for dependency in command.dependencies:
            other = dependency.job_id
            if other is None or self.world.state(command.job_id) != "SUCCEEDED":
                continue
            if dependency.type is not DependencyType.N_TO_N:
                assert self.world.state(other) == "SUCCEEDED", f"{command.job_id} after {other}"
                continue
            for index in range(command.array_size or 0):
                mine, its = (f"{each}:{index}" for each in (command.job_id, other))
                if self.world.state(mine) == "SUCCEEDED":
                    assert self.world.state(its) == "SUCCEEDED", f"{mine} after {its}"


def _demand(order: StartAttempt) -> Demand:
    spec = order.spec
    if spec.nodes is not None:
        return Demand(order.environment, 1000, 512)
    return Demand(order.environment, spec.request.cpu_milli, spec.request.memory_mib)


def _difference(mine: Any, restored: Any) -> str:
    if isinstance(mine, dict) and isinstance(restored, dict):
        for key in {**mine, **restored}:
            if mine.get(key) != restored.get(key):
                return f"{key}:\n  memory   {mine.get(key)}\n  restored {restored.get(key)}"
    return f"\n  memory   {mine}\n  restored {restored}"
