"""Batch, running: its core between the loop, the store and the engines.

`Runtime` is what the API and the server hold. It restores the core at the start, loads the facts
and bodies that decisions and effects need, hands effects to engines after their commit, and
forgets what ended long ago. It decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

from tidemill.platform.clock import Clock, Now
from tidemill.platform.commit import Committer
from tidemill.platform.engine import Attempt, Engine, Exited, Lost, Pool, Stop
from tidemill.platform.limit import Limits
from tidemill.platform.loop import Ledger, Loop
from tidemill.platform.retry import Replies
from tidemill.platform.service import Caller
from tidemill.platform.store import Store, StoreError
from tidemill.services.batch import registry_store, store
from tidemill.services.batch.body import BodyCache
from tidemill.services.batch.command import CancelJob, Change, Ended, SubmitJob, TerminateJob
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.dependency import FactsNeeded
from tidemill.services.batch.effect import (
    Effect,
    RecoverAttempt,
    ResizePools,
    SettleAttempt,
    StartAttempt,
    StopAttempt,
    TellEnd,
)
from tidemill.services.batch.environment import DEFAULT_ENGINE, Offer
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Names
from tidemill.services.batch.registry import Registry

KEEP_S: Final = 7 * 24 * 3600
_EXPIRY_PAUSE_MS: Final = 50
_READ_AGAIN_MS: Final = 1_000
_SHARES_EVERY_MS: Final = 60_000
_log = logging.getLogger(__name__)

MIGRATIONS: Final = [*store.MIGRATIONS, *registry_store.MIGRATIONS]

AttemptEnvironment = Callable[[str], Mapping[str, str]]
"""The server's port: variables for an attempt by its id (endpoint, region, credentials)."""


class Runtime:
    """Batch with everything that it stands on; open it once, close it once."""

    def __init__(
        self,
        *,
        names: Names,
        limits: Limits,
        database: Store,
        committer: Committer,
        clock: Clock,
        engines: Mapping[str, Engine],
        offers: Mapping[str, Offer],
        attempt_environment: AttemptEnvironment,
        ledger: Ledger | None = None,
        replies: Replies | None = None,
        keep_s: int = KEEP_S,
    ) -> None:
        self.database = database
        self.clock = clock
        self.registry = Registry(names, limits, offers)
        self.core = BatchCore(self.registry)
        self._committer = committer
        self._engines = engines
        self._replies = replies
        self._keep_ms = keep_s * 1000
        self._bodies = BodyCache()
        self._performer = _Performer(self, engines, self._bodies, attempt_environment)
        self.loop = Loop(self.core, committer, clock, self._performer.perform, ledger)
        self._ends: dict[str, asyncio.Future[None]] = {}
        self.task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Restore the core, connect the engines, begin to turn; an error of `task` is final."""
        self.registry.restore(await registry_store.load(self.database))
        self.registry.found(str(uuid4()))
        rows = await store.active_jobs(self.database)
        shares = await store.share_uses(self.database)
        seq = await store.next_seq(self.database)
        self.core.restore(rows, shares, seq, self.clock.now())
        for engine in self._engines.values():
            await engine.open(self.loop.tell, epoch=self.database.epoch)
        self.task = asyncio.create_task(self.loop.run(), name="batch")

    async def close(self, *, stop_jobs: bool) -> None:
        """Disconnect the engines, with `stop_jobs` after all that runs has been stopped.

        What they report meanwhile is still recorded.
        """
        self.tell_end()
        self._performer.close()
        for engine in self._engines.values():
            await engine.close(stop_jobs=stop_jobs)
        if self.task is None:
            return
        if not self.task.done():
            # It matches nothing; its reply says that all that was told before it is durable.
            await self.loop.ask(CancelJob(job_id="", reason=""))
            await self.save_shares(self.clock.now())
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    # What the API asks

    async def submit(self, command: SubmitJob, caller: Caller | None = None) -> str:
        """Take a job in; its id, which is another than the command's for a call tried again."""
        self._bodies.put(command.job_id, command.body)
        while True:
            try:
                return str(await self._ask(command, caller))
            except FactsNeeded as needed:
                facts = await self._facts(needed.job_ids)
                command = replace(command, ended={**command.ended, **facts})

    async def cancel(self, command: CancelJob, caller: Caller | None = None) -> bool:
        """Cancel a job; False when no active job has that id."""
        return bool(await self._ask(command, caller))

    async def terminate(self, command: TerminateJob, caller: Caller | None = None) -> bool:
        """Terminate a job; False when no active job has that id."""
        return bool(await self._ask(command, caller))

    async def change(self, command: Change, caller: Caller | None = None) -> dict[str, Any]:
        """Carry out an operation on what jobs run in; AWS's answer."""
        answer: dict[str, Any] = await self._ask(command, caller)
        return answer

    async def one_ended(self, job_ids: Iterable[str], timeout_s: float) -> None:
        """Return once one of the jobs has ended, or is not active at all; else after the time."""
        waits = []
        for job_id in job_ids:
            if not self.core.await_end(job_id):
                return
            if job_id not in self._ends:
                self._ends[job_id] = asyncio.get_running_loop().create_future()
            waits.append(self._ends[job_id])
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)

    def tell_end(self, job_id: str | None = None) -> None:
        """Let go whoever waits for the end of a job; None lets all go."""
        ended = list(self._ends) if job_id is None else [job_id]
        for each in ended:
            future = self._ends.pop(each, None)
            if future is not None and not future.done():
                future.set_result(None)

    async def settled(self) -> None:
        """Return when all that memory shows is durable: a read waits for this."""
        await self.loop.settled()

    def now(self) -> Now:
        """The present moment."""
        return self.clock.now()

    def is_active(self, attempt_id: str) -> bool:
        """Whether an attempt is under way."""
        return self.core.book.find(attempt_id) is not None

    @property
    def running_attempts(self) -> int:
        """How many attempts are under way now."""
        return self.core.scheduler.running

    def status_reason(self, job_id: str) -> str | None:
        """What an active job or child waits for now."""
        return self.core.status_reason(job_id, self.clock.now())

    def conditions(self, job_id: str) -> list[dict[str, Any]]:
        """Every condition for the start of a job or child that waits, in order, as plain values.

        Each has `name`, `holds` and `detail`, which has the numbers.
        """
        found = self.core.conditions(job_id, self.clock.now())
        return [asdict(condition) for condition in found]

    async def _ask(self, message: Any, caller: Caller | None) -> Any:
        if self._replies is None or caller is None:
            return await self.loop.ask(message)
        return await self._replies.ask(self.loop, message, caller)

    async def _facts(self, job_ids: Iterable[str]) -> dict[str, Ended]:
        facts: dict[str, Ended] = {}
        for job_id in job_ids:
            fact = await store.ended(self.database, job_id)
            if fact is None:
                raise Refused(
                    f"dependsOn.jobId: there is no job {job_id}; give the id of a job that was "
                    "submitted before and is still kept."
                )
            facts[job_id] = fact
        return facts

    # Duties of the background (`platform.housekeeping`)

    async def expire(self, now: Now) -> int | None:
        """Forget a few of the jobs that ended longer ago than they are kept."""
        writes = await store.expired(self.database, now.wall_ms - self._keep_ms)
        if writes:
            await self._committer.commit(writes)
            return now.mono_ms + _EXPIRY_PAUSE_MS
        oldest_ms = await store.oldest_end_ms(self.database)
        age_ms = 0 if oldest_ms is None else max(0, now.wall_ms - oldest_ms)
        return now.mono_ms + max(_SHARES_EVERY_MS, self._keep_ms - age_ms)

    async def save_shares(self, now: Now) -> int | None:
        """Save the scheduler's account of fair shares, for the next start."""
        uses = self.core.scheduler.share_uses(now)
        if uses:
            await self._committer.commit(store.save_share_uses(uses, now.wall_ms))
        return now.mono_ms + _SHARES_EVERY_MS


@dataclass(slots=True)
class _Orders:
    """What one engine is told after one batch, in the order of the members."""

    starts: list[Attempt] = field(default_factory=list)
    recoveries: list[str] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    settlements: list[str] = field(default_factory=list)


class _Performer:
    """Turns committed effects into orders to engines, batch after batch in order.

    A batch whose bodies are at hand is performed at once; one that must load some holds up
    those behind it, so that an attempt is never stopped before it was started.
    """

    def __init__(
        self,
        runtime: Runtime,
        engines: Mapping[str, Engine],
        bodies: BodyCache,
        attempt_environment: AttemptEnvironment,
    ) -> None:
        self._runtime = runtime
        self._engines = engines
        self._bodies = bodies
        self._attempt_environment = attempt_environment
        self._behind: deque[Sequence[Effect]] = deque()
        self._engine_names: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def perform(self, effects: Sequence[Effect]) -> None:
        """Carry out the effects of one committed batch."""
        self._report_set_aside()
        if self._is_closed:
            return  # the state implies them: the next start asks for them again
        if self._behind or self._missing(effects):
            self._behind.append(effects)
            if self._task is None:
                self._task = asyncio.create_task(self._catch_up(), name="batch-bodies")
        else:
            self._carry_out(effects)

    def close(self) -> None:
        """Carry out nothing any more."""
        self._is_closed = True

    def _report_set_aside(self) -> None:
        set_aside = self._runtime.core.set_aside
        for message, error in set_aside:
            _log.error("Set aside, and failed its job: %r", message, exc_info=error)
        set_aside.clear()

    def _missing(self, effects: Sequence[Effect]) -> list[str]:
        starts = (effect for effect in effects if isinstance(effect, StartAttempt))
        return list({s.job_id: None for s in starts if s.job_id not in self._bodies})

    async def _catch_up(self) -> None:
        while self._behind and not self._is_closed:
            effects = self._behind[0]
            wanted = list({e.job_id: None for e in effects if isinstance(e, StartAttempt)})
            try:
                loaded = await store.bodies(self._runtime.database, wanted)
            except StoreError as error:
                _log.warning("Jobs wait to be started, as the store could not be read: %s", error)
                await self._rest()
                continue
            self._behind.popleft()
            self._carry_out(effects, loaded)
        self._task = None

    async def _rest(self) -> None:
        over = asyncio.Event()
        clock = self._runtime.clock
        clock.call_at(clock.now().mono_ms + _READ_AGAIN_MS, over.set)
        await over.wait()

    def _carry_out(self, effects: Sequence[Effect], loaded: Mapping[str, bytes] = {}) -> None:
        orders = {name: _Orders() for name in self._engines}
        for effect in effects:
            if isinstance(effect, ResizePools):
                self._resize()
                continue
            if isinstance(effect, TellEnd):
                self._runtime.tell_end(effect.job_id)
                continue
            name = self._engine_of(effect.environment)
            if name in orders:
                self._add(orders[name], effect, loaded)
            else:
                self._refuse(effect, name)
        for name, order in orders.items():
            _give(self._engines[name], order)

    def _add(self, orders: _Orders, effect: Effect, loaded: Mapping[str, bytes]) -> None:
        match effect:
            case StartAttempt():
                attempt = self._attempt(effect, loaded)
                if attempt is not None:
                    orders.starts.append(attempt)
            case StopAttempt(attempt_id=attempt_id, grace_s=grace_s):
                orders.stops.append(Stop(attempt_id=attempt_id, grace_s=grace_s))
            case RecoverAttempt(attempt_id=attempt_id):
                orders.recoveries.append(attempt_id)
            case SettleAttempt(attempt_id=attempt_id):
                orders.settlements.append(attempt_id)
            case ResizePools() | TellEnd():
                raise AssertionError("it belongs to no attempt")

    def _attempt(self, order: StartAttempt, loaded: Mapping[str, bytes]) -> Attempt | None:
        job_id = order.job_id
        is_shared = order.index is not None or order.node is not None
        if job_id not in self._bodies:
            self._bodies.put(job_id, loaded.get(job_id, b""))
        try:
            launch = self._bodies.launch(job_id)
        except ValueError as error:
            self._fail(order, f"CannotStartContainerError: {error}")
            return None
        if not is_shared:
            self._bodies.drop(job_id)
        return launch.attempt(order, self._attempt_environment(order.attempt_id))

    def _refuse(self, effect: Effect, engine: str) -> None:
        """The engine of an environment is not part of this server any more."""
        match effect:
            case StartAttempt():
                self._fail(effect, f"CannotStartContainerError: there is no engine {engine!r}.")
            case RecoverAttempt(attempt_id=attempt_id) | StopAttempt(attempt_id=attempt_id):
                at_ms = self._runtime.now().wall_ms
                self._runtime.loop.tell([Lost(attempt_id=attempt_id, at_ms=at_ms)])
            case _:
                pass

    def _fail(self, order: StartAttempt, reason: str) -> None:
        at_ms = self._runtime.now().wall_ms
        self._runtime.loop.tell(
            [Exited(attempt_id=order.attempt_id, at_ms=at_ms, exit_code=None, reason=reason)]
        )

    def _engine_of(self, environment: str) -> str:
        """The name of its engine; the end of the last attempt may be the end of it as well."""
        found = self._runtime.registry.resources.environments.get(environment)
        if found is not None:
            self._engine_names[environment] = found.engine
        return self._engine_names.get(environment, DEFAULT_ENGINE)

    def _resize(self) -> None:
        pools: dict[str, list[Pool]] = {name: [] for name in self._engines}
        for name in self._runtime.registry.resources.environments:
            spec = self._runtime.registry.environment_spec(name)
            engine = self._engine_of(name)
            if spec is not None and engine in pools:
                pools[engine].append(
                    Pool(name=name, cpu_milli=spec.cpu_milli, memory_mib=spec.memory_mib)
                )
        for engine, sizes in pools.items():
            self._engines[engine].resize(sizes)


def _give(engine: Engine, orders: _Orders) -> None:
    if orders.starts:
        engine.start(orders.starts)
    if orders.recoveries:
        engine.recover(orders.recoveries)
    if orders.stops:
        engine.stop(orders.stops)
    if orders.settlements:
        engine.settle(orders.settlements)
