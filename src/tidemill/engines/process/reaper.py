"""Takes in what children the runner has lost: those it made, and those it inherited.

The runner is a "subreaper": descendants whose parents have died become its children, however far
they tried to get away. So nothing that an attempt left behind escapes, and the death of a warm
interpreter loses none of its forks.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Callable
from typing import Final, NamedTuple

from tidemill.engines.process import proc

_PR_SET_CHILD_SUBREAPER: Final = 36


class Death(NamedTuple):
    """A child that has been reaped: its status as of wait(2), and what it used."""

    pid: int
    status: int
    usage: resource.struct_rusage


class Reaper:
    """One a process; made before the first child."""

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        pid = os.getpid()
        try:
            path = f"/proc/{pid}/task/{pid}/children"
            self._children = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
            self._children = -1

    def reap(self, is_leader: Callable[[int], bool]) -> list[Death]:
        """All children that have ended.

        What is left of the process group of one that led an attempt is killed first. A dead
        child keeps its pid from being given to another process until it is reaped, so the kill
        reaches no stranger.
        """
        deaths: list[Death] = []
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return deaths
            if found is None:
                return deaths
            pid = found.si_pid
            if is_leader(pid):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
            deaths.append(Death(*os.wait4(pid, 0)))

    def inherited(self, is_known: Callable[[int], bool]) -> list[int]:
        """The living children that are not known yet: orphans of attempts, or of their remains."""
        if self._children >= 0:
            pids = [int(pid) for pid in self._read().split()]
        else:
            me = os.getpid()
            try:
                pids = [entry.pid for entry in proc.processes().values() if entry.parent == me]
            except OSError:  # no file is left to look through: the next sweep finds them
                pids = []
        return [pid for pid in pids if not is_known(pid)]

    def _read(self) -> bytes:
        text = b""
        while part := os.pread(self._children, 65536, len(text)):
            text += part
        return text
