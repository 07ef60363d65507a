"""What every engine speaks: it starts and stops attempts and reports what it sees.

An engine never decides. Orders come in batches, reports go out in batches. Everything is
idempotent by attempt id: an order may come twice, a report may come late or twice, and the core
ignores what matches nothing. Written for engines that are slow, remote, restart on their own and
lose machines. Output goes from the engine straight into the log store.

The values are msgspec structs, frozen: thousands a second are made, which costs a tenth of what
it would with dataclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec


class EngineError(Exception):
    """The engine can't be opened or has stopped working: one sentence that says why."""


class StaleEpoch(EngineError):
    """The engine obeys a later leader already; this one must not go on."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at running one job (or one child, or one node): all that an engine needs.

    `attempt_id` is unique for ever. `pool` names the compute environment; an engine that holds
    attempts back until there is room (see `Engine.look_ahead`) counts `cpu_milli` and
    `memory_mib` against that pool's size. `working_directory` None means the engine's own choice.
    `environment` is whole: nothing of the engine's own environment is added but what a process
    needs to run at all (PATH, HOME, LANG), where it is not given.
    """

    attempt_id: str
    pool: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    log_group: str
    log_stream: str
    working_directory: str | None = None
    ulimits: tuple[tuple[str, int, int], ...] = ()
    """(name as in AWS: nofile, soft, hard)"""
    image: str = ""
    user: str | None = None


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """An order to end an attempt: SIGTERM to its whole process group, `grace_s` later SIGKILL.

    An attempt that the engine still holds back is dropped instead, and reported as `Exited` with
    no exit code.
    """

    attempt_id: str
    grace_s: float


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a compute environment, as an engine that holds attempts back must know it."""

    name: str
    cpu_milli: int
    memory_mib: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt used: CPU seconds and the peak of its memory."""

    cpu_s: float = 0.0
    memory_peak_bytes: int = 0


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt's process runs since `at_ms` (wall time); `address` is where peers reach it."""

    attempt_id: str
    at_ms: int
    address: str = "127.0.0.1"


class Exited(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt has ended at `at_ms`.

    `exit_code` is the process's own, 128 + n when signal n ended it, and None when no process
    ever ran (dropped before its start, or it could not be started: then `reason` says why, as
    `CannotStartContainerError: ...`). `started_at_ms` is None when it never ran. `reason` is
    AWS's words where AWS has them (`OutOfMemoryError: Container killed due to memory usage`).
    """

    attempt_id: str
    at_ms: int
    exit_code: int | None
    started_at_ms: int | None = None
    reason: str = ""
    usage: Usage = Usage()


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt's host or runner is gone; how far it came can't be known. It does not run now."""

    attempt_id: str
    at_ms: int
    reason: str = ""


class InterruptionNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt's host will be taken away at about `at_ms` (spot notice, Slurm preemption)."""

    attempt_id: str
    at_ms: int


Observation = Started | Exited | Lost | InterruptionNotice
Observe = Callable[[Sequence[Observation]], None]


class Engine(Protocol):
    """The contract of an engine; `tidemill.engines.conformance` checks any implementation.

    `look_ahead` is True when the engine may be given more attempts than there is room for and
    starts them in the order given as room comes free in their pool.
    """

    look_ahead: bool

    async def open(self, observe: Observe, *, epoch: int) -> None:
        """Connect; from now on `observe` is called on the loop with batches of reports.

        `epoch` is the leader's; the engine refuses orders of an older one from now on. Raises
        `StaleEpoch` when it obeys a later one already, another `EngineError` when it can't work.
        """

    def resize(self, pools: Sequence[Pool]) -> None:
        """The pools there are and their sizes, all of them, whenever one changes."""

    def start(self, attempts: Sequence[Attempt]) -> None:
        """Start each that is not known yet, in this order; report again what is known already."""

    def stop(self, stops: Sequence[Stop]) -> None:
        """Stop each; one that is not known is reported as `Lost`."""

    def recover(self, attempt_ids: Sequence[str]) -> None:
        """Report what became of each: `Started` when it runs, `Exited`, or `Lost` when unknown.

        An attempt held back is reported by its `Started` when its time comes.
        """

    def settle(self, attempt_ids: Sequence[str]) -> None:
        """The ends of these are committed: what is remembered of them may be forgotten."""

    async def close(self, *, stop_jobs: bool) -> None:
        """Disconnect; jobs run on unless `stop_jobs`, then they are ended and nothing is left."""
