"""What the core asks to be done once its decisions are durable.

Effects are not stored: what the core remembers implies them, and after a restart it asks for
them again. All are idempotent by attempt id. `run.py` performs them.
"""

from __future__ import annotations

import msgspec

from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.job import Spec, UnderWay, Unit
from tidemill.services.batch.multinode import Node


class StartAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Start an attempt of a job, of child `index`, or of node `node`, in `environment`.

    `main_address` is where a multi-node job's main node is, for the other nodes.
    """

    attempt_id: str
    job_id: str
    number: int
    environment: str
    log_stream: str
    spec: Spec
    index: int | None = None
    array_size: int | None = None
    node: int | None = None
    main_address: str | None = None


class StopAttempt(msgspec.Struct, frozen=True):
    """End an attempt: SIGTERM, and SIGKILL `grace_s` later."""

    attempt_id: str
    environment: str
    grace_s: float


class RecoverAttempt(msgspec.Struct, frozen=True):
    """Ask what became of an attempt that was seen running before a restart."""

    attempt_id: str
    environment: str


class SettleAttempt(msgspec.Struct, frozen=True):
    """The end of an attempt is durable: its engine may forget it."""

    attempt_id: str
    environment: str


class ResizePools(msgspec.Struct, frozen=True):
    """Compute environments were made, changed or removed."""


class TellEnd(msgspec.Struct, frozen=True):
    """The end of a job that somebody waits for is durable."""

    job_id: str


Effect = StartAttempt | StopAttempt | RecoverAttempt | SettleAttempt | ResizePools | TellEnd


def start_of(unit: Unit) -> StartAttempt:
    """The order to start a unit's newest attempt."""
    job, phase = unit.job, unit.phase
    assert isinstance(phase, UnderWay)
    return StartAttempt(
        attempt_id=unit.attempt_id,
        job_id=job.id,
        number=unit.attempt,
        environment=phase.environment,
        log_stream=phase.log_stream,
        spec=job.spec,
        index=unit.index if isinstance(unit, Child) else None,
        array_size=job.size if isinstance(job, ArrayJob) else None,
        node=unit.index if isinstance(unit, Node) else None,
        main_address=unit.cluster.main_address or None if isinstance(unit, Node) else None,
    )


def stop_of(unit: Unit) -> StopAttempt:
    """The order to stop a unit's newest attempt."""
    phase = unit.phase
    assert isinstance(phase, UnderWay)
    return StopAttempt(unit.attempt_id, phase.environment, unit.job.spec.stop_grace_s)
