"""What the core remembers of a job while it is active: only what decisions need.

Everything that runs is a `Unit`: a job on its own, an array's child, a multi-node job's node. Its
`phase` carries what its state needs to know, one small frozen class for each kind of state (what
is made for every attempt is a msgspec Struct, which costs a fifth of a dataclass to make).
Bodies, names and times that only people want are in the database alone. Tests measure what a
waiting job costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from tidemill.services.batch.command import Nodes, RetryStrategy, SubmitJob
from tidemill.services.batch.extension import Extension
from tidemill.services.batch.request import Request
from tidemill.services.batch.state import WORK, State, Table

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
    extension: Extension | None = None

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
    MAIN_NODE = "MAIN_NODE"


@dataclass(frozen=True, slots=True)
class Stop:
    """A decision that work must end FAILED, with `reason` as its statusReason."""

    kind: StopKind
    reason: str


class UnderWay(msgspec.Struct, frozen=True):
    """Given to the engine of `environment`; `stop` once it was ordered to stop."""

    environment: str
    log_stream: str
    stop: Stop | None


class Starting(UnderWay, frozen=True):
    """Not seen running yet."""


class Running(UnderWay, frozen=True):
    """Seen running since `started_ms` (wall)."""

    started_ms: int


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """How it all ended; kept until that is committed."""

    stopped_ms: int
    status_reason: str
    stop: Stop | None
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
    ended attempts, joined by commas. `phase` is None while it waits. `table` has its moves.
    """

    table: ClassVar[Table] = WORK

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
