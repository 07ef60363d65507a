"""What waits for what: on whole jobs, on single children, child by child (N_TO_N), in sequence.

Only dependencies on what is still active are remembered. What has ended well is no dependency
any more, and what has failed fails its dependants in the same batch, so after a restart a
dependency that is not active can only have succeeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.command import Dependency, DependencyType, Ended, SubmitJob
from tidemill.services.batch.error import Refused
from tidemill.services.batch.job import Job
from tidemill.services.batch.state import State

Ranges = tuple[tuple[int, int], ...]


class FactsNeeded(Exception):
    """Nothing was decided: how these jobs ended must be loaded from history first."""

    def __init__(self, job_ids: tuple[str, ...]) -> None:
        super().__init__(f"The ends of {', '.join(job_ids)} must be known.")
        self.job_ids = job_ids


@dataclass(slots=True)
class Standing:
    """How a job stands to its dependencies.

    `waits` and `gates` are as in `Job` and `ArrayJob`. `failed` is a dependency that has failed
    already; `failed_children` are, for an N_TO_N dependency, those children that did.
    """

    waits: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    sequential: bool = False
    failed: str | None = None
    failed_children: list[tuple[str, Ranges]] = field(default_factory=list)


def standing(jobs: Mapping[str, Job], command: SubmitJob) -> Standing:
    """Look up each dependency of a new job, among active jobs and in the facts given.

    Raises `FactsNeeded` for what is in neither, and `Refused` for what can't be meant.
    """
    found = Standing()
    unknown: list[str] = []
    for dependency in command.dependencies:
        if dependency.type is DependencyType.SEQUENTIAL:
            found.sequential = True
            continue
        assert dependency.job_id is not None
        fact = _look_up(jobs, command.ended, dependency.job_id)
        if fact is None:
            unknown.append(dependency.job_id)
        elif dependency.type is DependencyType.N_TO_N:
            _stand_child_by_child(found, dependency.job_id, fact, command.array_size)
        else:
            _stand(found, dependency.job_id, fact)
    if unknown:
        raise FactsNeeded(tuple(unknown))
    return found


def after_restart(jobs: Mapping[str, Job], dependencies: Iterable[Dependency]) -> Standing:
    """How a restored job stands; jobs that were submitted before it are restored already."""
    found = Standing()
    for dependency in dependencies:
        if dependency.type is DependencyType.SEQUENTIAL:
            found.sequential = True
        elif dependency.job_id is not None and _is_active(jobs, dependency.job_id):
            gated = dependency.type is DependencyType.N_TO_N
            (found.gates if gated else found.waits).append(dependency.job_id)
    return found


Fact = Job | Ended
"""A job to wait for, or how one has ended."""


class Dependants:
    """Who is to be told when something ends: by the id of the job, array or child."""

    def __init__(self) -> None:
        self._whole: dict[str, list[Job]] = {}
        self._paired: dict[str, list[ArrayJob]] = {}
        self._children: dict[str, set[int]] = {}

    def register(self, job: Job) -> None:
        """Remember all that `job` waits for."""
        for job_id in job.waits:
            self._whole.setdefault(job_id, []).append(job)
            parent, colon, index = job_id.partition(":")
            if colon:
                self._children.setdefault(parent, set()).add(int(index))
        if isinstance(job, ArrayJob):
            for job_id in job.gates:
                self._paired.setdefault(job_id, []).append(job)

    def paired(self, array_id: str) -> list[ArrayJob]:
        """The arrays whose children wait for those of `array_id`, one by one."""
        return self._paired.get(array_id, [])

    def awaited_children(self, array_id: str, first: int, last: int) -> list[int]:
        """Which children of that range somebody waits for in particular."""
        awaited = self._children.get(array_id)
        if not awaited:
            return []
        if first == last:
            return [first] if first in awaited else []
        return sorted(index for index in awaited if first <= index <= last)

    def take(self, job_id: str) -> list[Job]:
        """Those that wait for `job_id`, which has ended; it is forgotten."""
        self._paired.pop(job_id, None)
        self._children.pop(job_id, None)
        return self._whole.pop(job_id, [])


def _is_active(jobs: Mapping[str, Job], job_id: str) -> bool:
    parent, colon, index = job_id.partition(":")
    job = jobs.get(parent)
    if job is None or not colon:
        return job is not None
    return isinstance(job, ArrayJob) and job.state_of(int(index)) is not None


def _look_up(jobs: Mapping[str, Job], facts: Mapping[str, Ended], job_id: str) -> Fact | None:
    parent, colon, index = job_id.partition(":")
    job = jobs.get(parent)
    if job is None:
        return facts.get(job_id)
    if colon:
        return _look_up_child(job, job_id, index)
    if not job.has_ended:
        return job
    succeeded = job.state is State.SUCCEEDED
    if isinstance(job, ArrayJob):
        return Ended(succeeded, job.size, tuple(job.failed.ranges()))
    return Ended(succeeded)


def _look_up_child(job: Job, job_id: str, index: str) -> Fact:
    if not isinstance(job, ArrayJob) or not index.isdecimal() or int(index) >= job.size:
        raise Refused(f"dependsOn.jobId: there is no job {job_id}.")
    if job.state_of(int(index)) is not None:
        return job
    return Ended(job.has_succeeded(int(index)))


def _stand(found: Standing, job_id: str, fact: Fact) -> None:
    if isinstance(fact, Job):
        found.waits.append(job_id)
    elif not fact.succeeded:
        found.failed = found.failed or job_id


def _stand_child_by_child(found: Standing, job_id: str, fact: Fact, size: int | None) -> None:
    if isinstance(fact, ArrayJob):
        other, failed = fact.size, tuple(fact.failed.ranges())
        found.gates.append(job_id)
    elif isinstance(fact, Ended) and fact.array_size is not None:
        other, failed = fact.array_size, fact.failed_indexes
    else:
        raise Refused(f"dependsOn: N_TO_N needs two array jobs, and {job_id} is none.")
    if other != size:
        raise Refused(
            f"dependsOn: N_TO_N needs two arrays of one size; {job_id} has {other} children "
            f"and this job {size}."
        )
    if failed:
        found.failed_children.append((job_id, failed))
