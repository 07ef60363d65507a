"""The values that go into the scheduler and come out of it.

Names are plain names, never ARNs; CPU is in thousandths of a vCPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.platform.clock import Now
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """A compute environment: how much it holds at once (`cpu_milli` is maxvCpus x 1000).

    Environments of one `host` share its memory and GPUs, which are as much as any of them says;
    None has a host of its own. `look_ahead` says that its engine holds attempts back until there
    is room, so that a few more than fit may be handed over.
    """

    name: str
    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    host: str | None = None
    enabled: bool = True
    valid: bool = True
    look_ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FairShare:
    """A scheduling policy's fairsharePolicy.

    `weights` are (share identifier, or prefix with a trailing `*`; weight factor). A lower
    factor gets more. `decay_s` 0 means AWS's default window of 600 s.
    """

    decay_s: int = 0
    reservation_percent: int = 0
    weights: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """A job queue: `environments` in the order in which they are tried; no policy means FIFO.

    A queue that is not `enabled` takes no new jobs, which is the registry's to refuse; what it
    holds still runs.
    """

    name: str
    priority: int
    environments: tuple[str, ...]
    policy: FairShare | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waiting:
    """A runnable job; or an array, whose runnable children are `indexes`.

    `seq` is unique and grows with submission. The scheduler takes indexes out as it admits them;
    whoever put indexes in calls `Scheduler.add` again. `look_ahead` False keeps a job (one of
    several nodes) from being handed over before there is room for it.
    """

    job_id: str
    queue: str
    seq: int
    request: Request
    share: str = ""
    priority: int = 0
    indexes: IndexSet | None = None
    look_ahead: bool = True


@dataclass(frozen=True, slots=True)
class Admission:
    """A decision: this job (this child of it) starts now, there."""

    job_id: str
    index: int | None
    environment: str

    @property
    def key(self) -> str:
        """What to release it by: the job's id, or the child's."""
        return self.job_id if self.index is None else f"{self.job_id}:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came free with an attempt's end; `spent` amounts are gone for good."""

    environment: str
    spent: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A queue whose head waits: since when that job is its head, and why (AWS's code first)."""

    queue: str
    job_id: str
    reason: str
    since: Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that has to hold before a job starts, whether it does, and the numbers."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentUse:
    """What runs in a compute environment now; `ahead` attempts wait in its engine for room."""

    cpu_milli: int
    memory_mib: int
    gpus: int
    running: int
    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueUse:
    """What a queue's attempts have in use now: all of them, and those of each share, most first.

    `shares` is None where the queue has no fair-share policy.
    """

    cpu_milli: int
    shares: tuple[tuple[str, int], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareUse:
    """A share's part in a fair-share queue, as it must be remembered over a restart.

    `average_milli` is the decayed average of the thousandths of a vCPU it had in use.
    """

    queue: str
    share: str
    average_milli: float
    at_wall_ms: int
