"""How a job comes in: from a command to its first state."""

from __future__ import annotations

from tidemill.platform.clock import Now
from tidemill.services.batch import ending, release
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.command import SubmitJob
from tidemill.services.batch.dependency import Standing, standing
from tidemill.services.batch.error import Refused
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.job import Job, Spec
from tidemill.services.batch.multinode import MultiNodeJob


def submit(book: Book, specs: SpecCache, command: SubmitJob, seq: int, now: Now) -> None:
    """Take a new job in. Raises `Refused` or `FactsNeeded`, and has changed nothing then."""
    if command.job_id in book.jobs:
        raise Refused(f"There is a job {command.job_id} already.")
    found = standing(book.jobs, command)
    spec = specs.shared(Spec.of(command))
    job = enter(book, make(command.job_id, seq, spec, command.array_size, found))
    book.journal.created(job, command, now.wall_ms)
    if found.failed is not None:
        ending.fail_dependant(book, job, found.failed, now)
        return
    for array_id, ranges in found.failed_children:
        ending.fail_pairs(book, job, ranges, array_id, now)
    if spec.extension is not None and spec.extension.delay_ms:
        book.delays.set(job.id, now.mono_ms + spec.extension.delay_ms)
    if release.is_held(book, job):
        release.hold(book, job)
    else:
        release.release(book, job)


def make(job_id: str, seq: int, spec: Spec, array_size: int | None, found: Standing) -> Job:
    """A job in its first state, of the kind that its spec says."""
    waits = tuple(found.waits)
    if array_size is not None:
        return ArrayJob(
            id=job_id,
            seq=seq,
            spec=spec,
            waits=waits,
            size=array_size,
            held=IndexSet([(0, array_size - 1)]),
            gates=tuple(found.gates),
            sequential=found.sequential,
        )
    kind = MultiNodeJob if spec.nodes is not None else Job
    return kind(id=job_id, seq=seq, spec=spec, waits=waits)


def enter(book: Book, job: Job) -> Job:
    """Make `job` known, and to those that it waits for as well."""
    book.jobs[job.id] = job
    book.dependants.register(job)
    return job


class SpecCache:
    """Lets jobs that are alike share one `Spec`: a hundred thousand of them then cost one."""

    __slots__ = ("_known", "_size_max")

    def __init__(self, size_max: int = 4_096) -> None:
        self._known: dict[Spec, Spec] = {}
        self._size_max = size_max

    def shared(self, spec: Spec) -> Spec:
        """The one that equals `spec`."""
        if len(self._known) >= self._size_max:
            self._known.clear()
        return self._known.setdefault(spec, spec)
