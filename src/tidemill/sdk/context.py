"""Where code runs: `tm.context()` says which job this is, as far as it is one."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from tidemill.sdk.error import TidemillError

TENANT_VARIABLE: Final = "TIDEMILL_TENANT"
TIMEOUT_VARIABLE: Final = "TIDEMILL_TIMEOUT_S"


class SoftTimeout(TidemillError):
    """The soft time limit of this attempt has passed; the hard one will kill it."""


class Interrupted(BaseException):
    """The job was asked to end, and can go on from here in another attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A job as seen from inside. Outside of one, `is_job` is False and all else says nothing."""

    job_id: str = ""
    """AWS's id; that of an array's child ends in `:` and its index in the array."""
    attempt: int = 1
    """From 1 on."""
    index: int = 0
    """Which child of its map it is; 0 for a job by itself."""
    tenant: str | None = None
    """The share identifier that it was submitted with."""
    deadline: datetime | None = None
    """When its timeout kills this attempt (UTC); None for never."""
    run_url: str = ""
    """Under which S3 URL all that belongs to its run lies; ends in a slash."""

    @property
    def is_job(self) -> bool:
        """Whether this process is a job at all."""
        return bool(self.job_id)


class Attempt(Protocol):
    """What the worker knows of the attempt that it is."""

    @property
    def results(self) -> str:
        """Under which URL its run's results lie."""

    @property
    def index(self) -> int:
        """Which child of the whole map it is."""

    @property
    def attempt(self) -> int:
        """Which attempt of its job it is."""


attempt: Attempt | None = None
"""The attempt that this process is, set by the worker; None where it is no job."""
place = 0
"""Which item of its chunk the function is called for."""
at_end: Final[list[Callable[[], None]]] = []
"""What parts of the library still do once the function has ended."""


def run_url(results_url: str) -> str:
    """Under which URL all lies that belongs to the run whose results lie there."""
    return results_url.removesuffix("results/")


def context() -> Context:
    """What is known of the job that calls this; a `Context` with `is_job` False outside of one."""
    if attempt is None:
        return Context()
    timeout_s = os.environ.get(TIMEOUT_VARIABLE)
    deadline = None
    if timeout_s:
        left_s = float(timeout_s) - age_s()
        deadline = datetime.now(UTC) + timedelta(seconds=left_s)
    return Context(
        job_id=os.environ.get("AWS_BATCH_JOB_ID", ""),
        attempt=attempt.attempt,
        index=attempt.index,
        tenant=os.environ.get(TENANT_VARIABLE) or None,
        deadline=deadline,
        run_url=run_url(attempt.results),
    )


_imported_s: Final = time.monotonic()


def age_s() -> float:
    """How long this process has lived, in seconds; a fork counts from its fork."""
    with contextlib.suppress(OSError, ValueError):
        ticks = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - _imported_s  # no /proc: from when this module was imported
