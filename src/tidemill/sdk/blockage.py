"""A wait that can have no end as things are set up, told to who waits.

A job that needs more than any machine of its queue has stays in the queue, as on AWS, and holds
back what is behind it. It may be made to fit, or cancelled, so that waiting for it is no error; but
nobody is to wait in silence. It is a warning: a program on a terminal shows it, a server logs it
where its other warnings go, and tests that take warnings for errors fail instead of hanging.
"""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tidemill.sdk import watch
from tidemill.sdk.client import Connection
from tidemill.sdk.watch import Sight

_HOPELESS: Final = ("MISCONFIGURATION:", "ACTION_REQUIRED")
"""How AWS's reasons begin when a job can't run before somebody changes something."""
_WAITS: Final = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
_JOB_ID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::\d+)?\b")
_FIRST_S: Final = 0.5
_EVERY_MAX_S: Final = 60.0
_LEVELS_MAX: Final = 8
_ASKED_MAX: Final = 10
_LIBRARY: Final = str(Path(__file__).parents[1])


class Blockage:
    """Warns once that a job, or one that it waits for or behind, can't run as things are set up."""

    def __init__(self, connection: Connection, told: str) -> None:
        """`told` is the job that is waited for, in words."""
        self._connection = connection
        self._told = told
        self._has_warned = False
        self._every_s = _FIRST_S
        self._due_s = time.monotonic() + _FIRST_S

    def see(self, sight: Sight) -> None:
        """Warn if there is reason to, at the program's own line that waits."""
        told = self.find(sight)
        if told is not None:
            self.warn(told)

    def find(self, sight: Sight) -> str | None:
        """The warning's words, if there is reason for one now.

        Takes note of how the job is; the others are asked for ever more seldom.
        """
        if self._has_warned or sight.status not in _WAITS:
            return None
        if sight.why.startswith(_HOPELESS):
            return (
                f"{self._told} can't run as things are set up, and holds back its queue: "
                f"{sight.why}; cancel() takes it out."
            )
        if time.monotonic() < self._due_s:
            return None
        self._every_s = min(2 * self._every_s, _EVERY_MAX_S)
        self._due_s = time.monotonic() + self._every_s
        other = self._other(sight)
        if other is None:
            return None
        job_id = other.detail["jobId"].partition(":")[0]
        return (
            f"{self._told} waits for {other.detail['jobName']} (job {job_id}), which can't run as "
            f"things are set up: {other.why}; `tidemill cancel {job_id}` takes it out."
        )

    def warn(self, told: str) -> None:
        """Say so, this once."""
        self._has_warned = True
        warnings.warn(told, stacklevel=_callers_level())

    def _other(self, sight: Sight) -> Sight | None:
        """The first that can't run of those that it waits for or behind, near ones first."""
        known: set[str] = set()
        nearest = [sight]
        try:
            for _ in range(_LEVELS_MAX):
                ids = dict.fromkeys(each for one in nearest for each in _awaited(one))
                asked = [each for each in ids if each not in known][:_ASKED_MAX]
                known.update(asked)
                nearest = watch.look_at(self._connection, asked)
                for each in nearest:
                    if each.status in _WAITS and each.why.startswith(_HOPELESS):
                        return each
        except Exception:  # noqa: BLE001 - one that is gone or may not be seen; the wait goes on
            return None
        return None


def _awaited(sight: Sight) -> Iterator[str]:
    """The jobs that keep one from starting: its reason names them, on AWS its dependencies do."""
    if sight.status in _WAITS:
        yield from _JOB_ID.findall(sight.why)
        for each in sight.detail.get("dependsOn") or ():
            if each.get("jobId"):
                yield each["jobId"]


def _callers_level() -> int:
    """How far up from who asks the program's own line is, that waits; of a thread, its first."""
    level, frame = 0, sys._getframe(1)
    while frame.f_code.co_filename.startswith(_LIBRARY) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    return level + 1
