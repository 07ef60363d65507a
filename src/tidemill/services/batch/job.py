"""What the core remembers of a job while it is active: only what decisions need.

Everything that runs is a `Unit`: a job on its own, an array's child, a multi-node job's node. Its
`phase` carries what its state needs to know, one small frozen class for each kind of state.
Bodies, names and times that only people want are in the database alone. Tests measure what a
waiting job costs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tidemill.services.batch.command import Nodes, RetryStrategy, SubmitJob
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.request import Request
from tidemill.services.batch.state import State

TRY_ONCE: Final = RetryStrategy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What decisions need of a job and never changes; jobs that are alike share one."""

    queue: str
    definition_name: str
    request: Request
    share: str = ""
    priority: int = 0
    retry: RetryStrategy = TRY_ONCE
    timeout_s: int | None = None
    stop_grace_s: float = 30.0
    log_group: str = "/aws/batch/job"
    log_stream_prefix: str | None = None
    nodes: Nodes | None = None

    @classmethod
    def of(cls, command: SubmitJob) -> Spec:
        """The part of a submission that stays in memory."""
        return cls(**{name: getattr(command, name) for name in cls.__slots__})


class StopKind(StrEnum):
    """Why work is not let go on."""

    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    TIMEOUT = "TIMEOUT"
    DEPENDENCY = "DEPENDENCY"


@dataclass(frozen=True, slots=True)
class Stop:
    """A decision that work must end FAILED, with `reason` as its statusReason."""

    kind: StopKind
    reason: str


@dataclass(frozen=True, slots=True)
class Starting:
    """Given to an engine, not seen running yet."""

    environment: str
    log_stream: str
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Seen running since `started_ms` (wall); `address` is where other nodes reach it."""

    environment: str
    log_stream: str
    started_ms: int
    address: str
    stop: Stop | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How it all ended; kept until that is committed."""

    stopped_ms: int
    status_reason: str
    stop: Stop | None = None
    started_ms: int | None = None
    environment: str = ""
    log_stream: str = ""
    exit_code: int | None = None
    reason: str = ""


Phase = Starting | Running | Finished | None


@dataclass(slots=True, eq=False, kw_only=True)
class Unit:
    """One thing that is tried until it succeeds or may not be tried again.

    `attempt` is the number of its newest attempt, 0 before the first. `past` is the JSON of its
    ended attempts, joined by commas. `phase` is None while it waits.
    """

    state: State = State.SUBMITTED
    attempt: int = 0
    past: bytes = b""
    phase: Phase = None

    @property
    def key(self) -> str:
        """Its AWS job id: `id`, `id:3` for a child, `id#3` for a node."""
        raise NotImplementedError

    @property
    def job(self) -> Job:
        """The job that it is, or is part of."""
        raise NotImplementedError

    @property
    def attempt_id(self) -> str:
        """The id of its newest attempt, unique for ever."""
        return f"{self.key}/{self.attempt}"

    @property
    def has_ended(self) -> bool:
        """Nothing will happen to it any more."""
        return self.state >= State.SUCCEEDED


@dataclass(slots=True, eq=False, kw_only=True)
class Job(Unit):
    """A job as SubmitJob made it; itself a unit of work unless it is an array's parent.

    `waits` are the ids of the jobs that must succeed before anything of it may start.
    """

    id: str
    seq: int
    spec: Spec
    waits: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The job's id."""
        return self.id

    @property
    def job(self) -> Job:
        """Itself."""
        return self


@dataclass(slots=True, eq=False, kw_only=True)
class Child(Unit):
    """An array's child that has begun; before that it is a number in its parent's sets."""

    array: ArrayJob
    index: int

    @property
    def key(self) -> str:
        """The parent's id, a colon, the index."""
        return f"{self.array.id}:{self.index}"

    @property
    def job(self) -> ArrayJob:
        """The parent."""
        return self.array


@dataclass(slots=True, eq=False, kw_only=True)
class ArrayJob(Job):
    """An array's parent: children that have not begun are ranges, those that ended are counted.

    A child is in `held` (waits for a dependency), or in `ready` (runnable), or in `children`
    (has begun), or has ended; one that waits for its next attempt is in `ready` and `children`.
    `ready` is shared with the scheduler, which takes out what it admits. `gates` are the active
    arrays whose child of the same index must succeed first (N_TO_N). `stop` is set once the
    array as a whole was cancelled, terminated or failed by a dependency.
    """

    size: int
    held: IndexSet
    ready: IndexSet = field(default_factory=IndexSet)
    children: dict[int, Child] = field(default_factory=dict)
    failed: IndexSet = field(default_factory=IndexSet)
    succeeded: int = 0
    gates: tuple[str, ...] = ()
    sequential: bool = False
    stop: Stop | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Node(Unit):
    """One node of a multi-node job, for the length of one attempt of the whole job."""

    cluster: MultiNodeJob
    index: int

    @property
    def key(self) -> str:
        """The job's id, a hash sign, the node's index."""
        return f"{self.cluster.id}#{self.index}"

    @property
    def job(self) -> MultiNodeJob:
        """The whole job."""
        return self.cluster


@dataclass(slots=True, eq=False, kw_only=True)
class MultiNodeJob(Job):
    """A job of several nodes that are placed together; it fares as its main node does.

    `nodes` are those of the present attempt that have begun; `result` is how the main node
    ended, while other nodes are still being stopped.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    result: AttemptEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How one attempt ended, in the words of AWS's AttemptDetail.

    `exit_code` and `started_ms` are None when no process ever ran.
    """

    stopped_ms: int
    status_reason: str
    exit_code: int | None = None
    reason: str = ""
    started_ms: int | None = None
    cpu_s: float = 0.0
    memory_peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AttemptName:
    """An attempt id taken apart."""

    job_id: str
    index: int | None
    node: int | None
    number: int

    @classmethod
    def parse(cls, attempt_id: str) -> AttemptName | None:
        """Read `id/2`, `id:3/1` or `id#0/1`; None for anything else."""
        key, slash, number = attempt_id.rpartition("/")
        if not slash or not number.isdecimal():
            return None
        index = node = None
        job_id, mark, rest = key.partition(":")
        if mark:
            if not rest.isdecimal():
                return None
            index = int(rest)
        else:
            job_id, mark, rest = key.partition("#")
            if mark:
                if not rest.isdecimal():
                    return None
                node = int(rest)
        return cls(job_id, index, node, int(number))


_MINUTE_MS: Final = 60_000


def log_stream(spec: Spec, attempt_id: str, wall_ms: int) -> str:
    """The name of an attempt's log stream, as AWS forms it: unique, and sorted by time."""
    digest = hashlib.sha256(attempt_id.encode()).hexdigest()[:24]
    prefix = spec.log_stream_prefix or spec.definition_name
    return f"{prefix}/default/{wall_ms // _MINUTE_MS:08x}{digest}"
