"""Batch's core: messages in, decisions out. It knows no clock, no database and no engine.

`handle` takes a batch of commands and observations, does what is due, lets the scheduler admit
what fits, and gives out what must be made durable and what must be done after that. The rules of
jobs' lives are in the modules that it calls; the rules of who runs next in `scheduling`; what
jobs run in is the registry's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tidemill.platform.clock import Now
from tidemill.platform.core import Outcome
from tidemill.platform.engine import Exited, InterruptionNotice, Lost, Started
from tidemill.platform.store import Write
from tidemill.services.batch import (
    backoff,
    cluster,
    ending,
    intake,
    lifecycle,
    observation,
    release,
    stopping,
    why,
)
from tidemill.services.batch import restore as restoring
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.command import CancelJob, Change, SubmitJob, TerminateJob
from tidemill.services.batch.effect import Effect, ResizePools
from tidemill.services.batch.error import Refused
from tidemill.services.batch.head import Heads
from tidemill.services.batch.intake import SpecCache
from tidemill.services.batch.job import Stop, StopKind
from tidemill.services.batch.multinode import MultiNodeJob
from tidemill.services.batch.name import Kind
from tidemill.services.batch.queue import TimeLimit
from tidemill.services.batch.registry import Registry
from tidemill.services.batch.scheduling.scheduler import Scheduler
from tidemill.services.batch.scheduling.spec import Condition, ShareUse
from tidemill.services.batch.state import State
from tidemill.services.batch.store import ActiveJob

Message = (
    SubmitJob | CancelJob | TerminateJob | Change | Started | Exited | Lost | InterruptionNotice
)


class BatchCore:
    """Decides all that happens in Batch; `platform.loop.Loop` drives it.

    `set_aside` gathers observations that could not be reasoned about, with what was raised: the
    jobs that they belong to are FAILED. Whoever drives the core reports and empties it.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.scheduler = Scheduler()
        self.book = Book(self.scheduler)
        self.set_aside: list[tuple[Any, Exception]] = []
        self._specs = SpecCache()
        self._heads = Heads()
        self._next_seq = 1
        self._is_deleting = True
        self._has_registry_changed = True

    def restore(
        self, rows: Iterable[ActiveJob], shares: Iterable[ShareUse], next_seq: int, now: Now
    ) -> None:
        """Take up what the database holds; the next `handle` asks for what that implies."""
        self._next_seq = next_seq
        self._tell_scheduler()
        for use in shares:
            self.scheduler.restore_share(use, now)
        restoring.restore(self.book, self._specs, rows, now)

    def handle(self, messages: Sequence[Any], now: Now) -> Outcome:
        """Take the messages in order, then do what is due, then admit what fits."""
        self.book.forget_ended()
        replies = [self._take(message, now) for message in messages]
        self._do_what_is_due(now)
        if self._is_deleting:
            self._delete(now)
        self._admit(now)
        self._look_at_heads(bool(messages), now)
        return self._outcome(replies)

    @property
    def next_wake_ms(self) -> int | None:
        """When something falls due: a timeout, a delay, a pause, or the head of a queue."""
        book = self.book
        due = (book.deadlines.next_ms, book.delays.next_ms, book.pauses.next_ms)
        return min((ms for ms in (*due, self._heads.next_look_ms) if ms is not None), default=None)

    def status_reason(self, job_id: str, now: Now) -> str | None:
        """What an active job or child waits for now, in one sentence; None where nothing."""
        return why.status_reason(self.book, job_id, now)

    def conditions(self, job_id: str, now: Now) -> list[Condition]:
        """Every condition for the start of a job or child that waits, with numbers."""
        return why.conditions(self.book, job_id, now)

    def await_end(self, job_id: str) -> bool:
        """Have the job's end lead to `TellEnd`; False when it is not active: it has ended, or is
        a child, or there is none such.
        """
        job = self.book.jobs.get(job_id)
        if job is None or job.has_ended:
            return False
        self.book.awaited.add(job_id)
        return True

    def state_of(self, job_id: str) -> State | None:
        """The state of an active job or child (`id:3`); None for any other.

        An array's child that has not begun is known nowhere else.
        """
        parent, colon, index = job_id.partition(":")
        job = self.book.jobs.get(parent)
        if job is None or not colon:
            return None if job is None else job.state
        return job.state_of(int(index)) if isinstance(job, ArrayJob) else None

    def _take(self, message: Message, now: Now) -> Any:
        try:
            reply = self._decide(message, now)
        except Exception as error:  # noqa: BLE001 - it is the reply, or the job's end
            if isinstance(message, SubmitJob | CancelJob | TerminateJob | Change):
                return error
            self._put_aside(message, error, now)
            return None
        ending.carry_on(self.book, now)
        return reply

    def _decide(self, message: Message, now: Now) -> Any:
        match message:
            case Started() | Exited() | Lost() | InterruptionNotice():
                return observation.observe(self.book, message, now)
            case SubmitJob():
                return self._submit(message, now)
            case CancelJob(job_id=job_id, reason=reason):
                return stopping.stop(self.book, job_id, Stop(StopKind.CANCELLED, reason), now)
            case TerminateJob(job_id=job_id, reason=reason):
                return stopping.stop(self.book, job_id, Stop(StopKind.TERMINATED, reason), now)
            case Change(operation=operation, params=params, new_id=new_id):
                reply = self.registry.change(operation, params, new_id, now)
                self._tell_scheduler()
                return reply

    def _do_what_is_due(self, now: Now) -> None:
        book = self.book
        for key in book.deadlines.take_due(now.mono_ms):
            stopping.time_out(book, key)
        for job_id in book.delays.take_due(now.mono_ms):
            release.release(book, book.jobs[job_id])
        for key in book.pauses.take_due(now.mono_ms):
            backoff.is_over(book, key)

    def _submit(self, command: SubmitJob, now: Now) -> str:
        self.registry.queue_for(command.queue)
        if command.share:
            self._check_share(command)
        intake.submit(self.book, self._specs, command, self._next_seq, now)
        self._next_seq += 1
        return command.job_id

    def _check_share(self, command: SubmitJob) -> None:
        most = self.registry.limits.shares_active_max
        if not self.scheduler.takes_share(command.queue, command.share, most):
            raise Refused(
                f"shareIdentifier: job queue {command.queue} has {most} active share identifiers, "
                f"as many as allowed, and {command.share[:150]} is not one of them; submit again "
                "once the jobs of another have ended."
            )

    def _put_aside(self, message: Any, error: Exception, now: Now) -> None:
        self.set_aside.append((message, error))
        observation.abandon(self.book, message.attempt_id, f"Internal error: {error!r}", now)
        ending.carry_on(self.book, now)

    def _admit(self, now: Now) -> None:
        for admission in self.scheduler.cycle(now):
            job = self.book.jobs[admission.job_id]
            if isinstance(job, MultiNodeJob):
                cluster.admitted(self.book, job, admission.environment, now)
            else:
                lifecycle.admitted(self.book, job, admission.index, admission.environment, now)

    def _look_at_heads(self, has_changed: bool, now: Now) -> None:
        if not self._heads.is_due(now.mono_ms, has_changed):
            return
        found = self._heads.look(self.scheduler.blocked(now), self._time_limits, now)
        for head in found.told:
            self.book.journal.blocked(self.book.jobs[head.job_id], head.reason)
        for job_id, reason in found.cancelled:
            stopping.stop(self.book, job_id, Stop(StopKind.CANCELLED, reason), now)
        if found.cancelled:
            ending.carry_on(self.book, now)
            self._admit(now)

    def _time_limits(self, queue: str) -> Sequence[TimeLimit]:
        return self.registry.resources.queues[queue].time_limits

    def _outcome(self, replies: list[Any]) -> Outcome:
        writes, events = self.book.journal.collect()
        if self._has_registry_changed or self.book.spent:
            writes += self._collect_registry()
        effects: list[Effect] = self.book.effects
        self.book.effects = []
        return Outcome(replies, writes, events, effects)

    def _collect_registry(self) -> list[Write]:
        for name, quantity in self.book.spent.items():
            self.registry.spend(name, quantity)
        self.book.spent.clear()
        self._has_registry_changed = False
        return self.registry.take_writes()

    def _tell_scheduler(self) -> None:
        """Have the scheduler know what the registry has changed."""
        self._has_registry_changed = True
        touched = self.registry.take_touched()
        for name in touched.environments:
            environment = self.registry.environment_spec(name)
            if environment is None:
                self.scheduler.remove_environment(name)
            else:
                self.scheduler.set_environment(environment)
        for name in touched.consumables:
            consumable = self.registry.resources.consumables.get(name)
            if consumable is None:
                self.scheduler.remove_consumable(name)
            else:
                self.scheduler.set_consumable(name, consumable.total, consumable.replenishable)
        for name in touched.queues:
            queue = self.registry.queue_spec(name)
            if queue is None:
                self.scheduler.remove_queue(name)
            else:
                self.scheduler.set_queue(queue)
        if touched.environments:
            self.book.effects.append(ResizePools())
        self._is_deleting = bool(self.registry.deleting)

    def _delete(self, now: Now) -> None:
        """End the jobs of queues that are being deleted; let go of what nothing is left of."""
        for kind, name in self.registry.deleting:
            if kind is Kind.QUEUE:
                is_used = self._end_jobs_of(name, now)
            else:
                use = self.scheduler.environment_use(name)
                is_used = use.running + use.ahead > 0
            if not is_used:
                self.registry.forget(kind, name)
        self._tell_scheduler()

    def _end_jobs_of(self, queue: str, now: Now) -> bool:
        order = Stop(StopKind.TERMINATED, f"Job queue {queue} is being deleted.")
        jobs = [job for job in self.book.jobs.values() if job.spec.queue == queue]
        for job in jobs:
            stopping.stop(self.book, job.id, order, now)
        ending.carry_on(self.book, now)
        return any(not job.has_ended for job in jobs)
