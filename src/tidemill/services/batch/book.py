"""The book of active jobs: what the core remembers, and the one place where a state changes.

The modules that decide (`intake`, `release`, `lifecycle`, `cluster`, `stopping`, `ending`) are
functions over it. What they changed is in `journal`, what must be done about it in `effects`,
and what they ended waits in `endings` for its consequences to be carried on.
"""

from __future__ import annotations

from collections import deque

import msgspec

from tidemill.platform.clock import Now
from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.attempt import AttemptName
from tidemill.services.batch.deadline import Deadlines
from tidemill.services.batch.dependency import Dependants
from tidemill.services.batch.effect import Effect, TellEnd
from tidemill.services.batch.job import Job, UnderWay, Unit
from tidemill.services.batch.journal import Journal
from tidemill.services.batch.multinode import MultiNodeJob
from tidemill.services.batch.scheduling.scheduler import Scheduler
from tidemill.services.batch.scheduling.spec import Waiting
from tidemill.services.batch.state import Cause


class Ending(msgspec.Struct, frozen=True):
    """A job has ended, or children `first` to `last` of an array have, all in the same way."""

    job: Job
    succeeded: bool
    first: int | None = None
    last: int = 0


class Book:
    """Active jobs by id, and all that goes with them. Holds no rules but the tables'.

    `deadlines` are the timeouts of what runs; `delays` and `pauses` say when a job that asked
    for it may start at all, and when it, or a child, may be tried again.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.jobs: dict[str, Job] = {}
        self.dependants = Dependants()
        self.deadlines = Deadlines()
        self.delays = Deadlines()
        self.pauses = Deadlines()
        self.journal = Journal()
        self.effects: list[Effect] = []
        self.spent: dict[str, int] = {}
        self.awaited: set[str] = set()
        """The active jobs whose end somebody waits for."""
        self.endings: deque[Ending] = deque()
        self._leaving: list[str] = []

    def move(self, unit: Unit, cause: Cause) -> None:
        """Change a state, as the tables have it."""
        unit.state = unit.table[unit.state][cause]
        self.journal.moved(unit)
        if isinstance(unit, Child):
            self.journal.touched(unit.array)

    def find(self, attempt_id: str) -> Unit | None:
        """What an attempt belongs to, if it is the one that is under way; else None."""
        name = AttemptName.parse(attempt_id)
        job = self.jobs.get(name.job_id) if name is not None else None
        if name is None or job is None:
            return None
        unit: Unit | None
        if isinstance(job, ArrayJob):
            unit = job.children.get(name.index) if name.index is not None else None
        elif isinstance(job, MultiNodeJob):
            unit = job.nodes.get(name.node) if name.node is not None else None
        else:
            unit = job if name.index is None and name.node is None else None
        if unit is None or unit.attempt != name.number or not isinstance(unit.phase, UnderWay):
            return None
        return unit

    def line_up(self, job: Job) -> None:
        """Have a runnable job, or an array's runnable children, wait for room."""
        spec = job.spec
        self.scheduler.add(
            Waiting(
                job_id=job.id,
                queue=spec.queue,
                seq=job.seq,
                request=spec.request,
                share=spec.share,
                priority=spec.priority,
                indexes=job.ready if isinstance(job, ArrayJob) else None,
                look_ahead=spec.nodes is None,
            )
        )

    def leave_line(self, job: Job) -> None:
        """Have it wait no more, unless children of it still do."""
        if not isinstance(job, ArrayJob) or not job.ready:
            self.scheduler.remove(job.id)

    def give_back(self, key: str, now: Now, *, has_run: bool) -> None:
        """Free what an attempt held; what it used up for good is in `spent`."""
        released = self.scheduler.release(key, now, spend=has_run)
        for name, amount in released.spent if released is not None else ():
            self.spent[name] = self.spent.get(name, 0) + amount

    def ended(self, job: Job, *, succeeded: bool) -> None:
        """`job` is over; it leaves once that is committed."""
        self.delays.drop(job.id)
        self._leaving.append(job.id)
        if job.id in self.awaited:
            self.awaited.discard(job.id)
            self.effects.append(TellEnd(job.id))
        self.endings.append(Ending(job, succeeded))

    def forget_ended(self) -> None:
        """Let go of the jobs whose end is committed by now."""
        for job_id in self._leaving:
            del self.jobs[job_id]
        self._leaving.clear()
