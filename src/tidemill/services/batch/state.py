"""The lives of jobs, as two literal tables.

Everything that changes a job's state goes through these tables: what is not in them is a bug of
ours and raises `KeyError`. `WORK` is for what runs (a job, an array's child, a node), `ARRAY` for
an array's parent, which never runs itself. The numbers of the states are what the database holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import Final


class State(IntEnum):
    """AWS's job states in their order; what is at `SUCCEEDED` or beyond has ended."""

    SUBMITTED = 0
    PENDING = 1
    RUNNABLE = 2
    STARTING = 3
    RUNNING = 4
    SUCCEEDED = 5
    FAILED = 6


class Cause(Enum):
    """What moves a job from one state to another."""

    HELD = "a dependency has not succeeded yet"
    RELEASED = "nothing is left to wait for but room"
    ADMITTED = "the scheduler found room"
    STARTED = "the engine saw its process run"
    RETRIED = "the attempt failed and another one is due"
    SUCCEEDED = "it did what it was for"
    FAILED = "it did not, or was not let"


Table = Mapping[State, Mapping[Cause, State]]

WORK: Final[Table] = {
    State.SUBMITTED: {
        Cause.HELD: State.PENDING,
        Cause.RELEASED: State.RUNNABLE,
        Cause.FAILED: State.FAILED,
    },
    State.PENDING: {
        Cause.RELEASED: State.RUNNABLE,
        Cause.FAILED: State.FAILED,
    },
    State.RUNNABLE: {
        Cause.ADMITTED: State.STARTING,
        Cause.FAILED: State.FAILED,
    },
    State.STARTING: {
        Cause.STARTED: State.RUNNING,
        Cause.RETRIED: State.RUNNABLE,
        Cause.FAILED: State.FAILED,
    },
    State.RUNNING: {
        Cause.RETRIED: State.RUNNABLE,
        Cause.SUCCEEDED: State.SUCCEEDED,
        Cause.FAILED: State.FAILED,
    },
    State.SUCCEEDED: {},
    State.FAILED: {},
}

# A parent is PENDING from the moment that a child is RUNNABLE (or that it waits for a dependency)
# until all its children have ended: AWS Batch user guide, "Array jobs".
ARRAY: Final[Table] = {
    State.SUBMITTED: {
        Cause.HELD: State.PENDING,
        Cause.RELEASED: State.PENDING,
        Cause.FAILED: State.FAILED,
    },
    State.PENDING: {
        Cause.SUCCEEDED: State.SUCCEEDED,
        Cause.FAILED: State.FAILED,
    },
    State.SUCCEEDED: {},
    State.FAILED: {},
}
