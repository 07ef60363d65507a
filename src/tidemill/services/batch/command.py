"""The commands of Batch's core: what callers ask of it, in Python's names, already resolved.

`api.py` makes them from AWS's dicts: the definition is merged, overrides are applied, units are
converted, the job's body (all that DescribeJobs shows and that never changes) is encoded. The
core sees only what decisions need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tidemill.services.batch.extension import Extension
from tidemill.services.batch.request import Request


class DependencyType(StrEnum):
    """How an array's children hang on something else (AWS's `ArrayJobDependency`)."""

    N_TO_N = "N_TO_N"
    SEQUENTIAL = "SEQUENTIAL"


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of dependsOn. `job_id` None goes with SEQUENTIAL alone."""

    job_id: str | None
    type: DependencyType | None = None


@dataclass(frozen=True, slots=True)
class RetryRule:
    """One entry of evaluateOnExit: every pattern given must match; `retry` else exit.

    A pattern matches exactly, or as a prefix where it ends with `*`. `exit_code` is matched
    against the code's decimal digits.
    """

    retry: bool
    exit_code: str | None = None
    reason: str | None = None
    status_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """How often a job is tried (`attempts`, 1 to 10) and the rules that cut this short."""

    attempts: int = 1
    rules: tuple[RetryRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes `first` to `last` of a multi-node job share one container and one request each."""

    first: int
    last: int
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """A multi-node job's shape; the job's own `request` is the sum over all nodes."""

    count: int
    main: int
    groups: tuple[NodeGroup, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A fact from history: how a job that has left memory ended.

    For an array that an N_TO_N dependency names, `failed_indexes` are its children that failed,
    as inclusive ranges; all others succeeded.
    """

    succeeded: bool
    array_size: int | None = None
    failed_indexes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob:
    """Take a job in. `job_id` is new; `queue` is a name; `log_group` where its output goes.

    `definition` is the definition's name with its revision (`name:3`), as the job's row keeps it.
    `ended` holds a fact for each dependency that is not active any more; a dependency that is
    in neither is unknown, and the command is refused.
    """

    job_id: str
    name: str
    queue: str
    definition_name: str
    definition_arn: str
    request: Request
    body: bytes
    array_size: int | None = None
    nodes: Nodes | None = None
    dependencies: tuple[Dependency, ...] = ()
    retry: RetryStrategy = RetryStrategy()
    timeout_s: int | None = None
    share: str = ""
    priority: int = 0
    stop_grace_s: float = 30.0
    log_group: str = "/aws/batch/job"
    log_stream_prefix: str | None = None
    extension: Extension | None = None
    ended: Mapping[str, Ended] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """End a job that has not started, an array's child (`id:3`), or all such of an array."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateJob:
    """End a job wherever it is; one that runs is stopped first."""

    job_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An operation on what jobs run in (queues, environments, definitions, policies, tags).

    `operation` and `params` are AWS's own; the registry carries it out.
    """

    operation: str
    params: Mapping[str, Any]
    new_id: str


Command = SubmitJob | CancelJob | TerminateJob | Change
