"""Ends what a runner left running when it died, before its successor starts anything.

A process is killed only when it is certain to be one of ours: the environment it was started with
names an attempt that was under way or carries this folder's mark, or it is a recorded process
(same pid, same start), or it descends from such a one or is in its session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

from tidemill.engines.process import proc
from tidemill.engines.process.journal import Past

ATTEMPT: Final = "TIDEMILL_ATTEMPT"
"""In the environment of every process of an attempt: the attempt's id."""
WARM: Final = "TIDEMILL_WARM"
"""In the environment of every warm interpreter, and so of its forks: the folder's mark."""
WAIT_S: Final = 30.0
SETTLE_S: Final = 0.02
"""A process that is becoming another program shows no environment for a moment, so what seems to
be nobody's is looked at again after this."""


class GhostError(Exception):
    """A process of a dead runner can't be ended: one sentence."""


def lay(past: Past) -> int:
    """Kill whatever still runs of the attempts that `past` has open; return how many.

    Returns when they are gone, and raises `GhostError` when some will not go.
    """
    if past.head is None:
        return 0
    killed: set[int] = set()
    deadline = time.monotonic() + WAIT_S
    recorded = {entry.pid: entry.boot_ticks for entry in past.spawned.values()}
    recorded.update((entry.pid, entry.boot_ticks) for entry in past.strays)
    is_settled = False
    while True:
        ghosts = _ghosts(past, past.head.mark, recorded)
        if not ghosts and is_settled:
            return len(killed)
        if time.monotonic() > deadline:
            raise GhostError(
                f"the processes {sorted(ghosts)} of a runner that died can't be ended; "
                f"end them by hand, as nothing is started beside them"
            )
        for pid in ghosts:
            _kill(pid)
        killed |= ghosts
        is_settled = not ghosts
        time.sleep(0.005 if ghosts else SETTLE_S)


def _ghosts(past: Past, mark: str, recorded: Mapping[int, int]) -> set[int]:
    tree = proc.Tree()
    table = tree.table
    roots = {
        pid
        for pid, boot_ticks in recorded.items()
        if pid in table and abs(table[pid].boot_ticks - boot_ticks) <= 1
    }
    for pid in table:
        attempt_id = proc.marker(pid, ATTEMPT)
        if attempt_id in past.open or proc.marker(pid, WARM) == mark:
            roots.add(pid)
    sessions = {table[pid].session for pid in roots} - {0, os.getsid(0)}
    found = tree.kin(roots | sessions) - {os.getpid()}
    return {pid for pid in found if table[pid].state not in "ZX"}


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
