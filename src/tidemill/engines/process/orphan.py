"""Orphans: descendants of attempts that have outlived their parents, and whose they are.

The runner inherits them. One belongs to the attempt that its environment names, or whose session
it is in. One that says neither may belong to any attempt that runs when it is found: it is in the
middle of becoming another program, which a later look tells, or has gone to lengths to get away,
and then it ends when the last of those attempts has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tidemill.engines.process import proc
from tidemill.engines.process.ghost import ATTEMPT, WARM
from tidemill.engines.process.journal import Stray
from tidemill.engines.process.poll import Poll, Timer
from tidemill.engines.process.reaper import Reaper
from tidemill.engines.process.run import Run, kill

LOOK_AGAIN_S: Final = 0.01
"""After how long a stray is looked at again; twice that the next time, and so on."""


class Orphans:
    """All that the runner has inherited and not reaped yet."""

    def __init__(
        self,
        poll: Poll,
        reaper: Reaper,
        runs: Mapping[str, Run],
        by_pid: Mapping[int, Run],
        is_own: Callable[[int], bool],
        mark: str,
        record: Callable[[Stray], None],
    ) -> None:
        """`runs` and `by_pid` are the supervisor's; `is_own` is true of pids it has made.

        What is given to `record` goes to the journal, as the runner's successor could not tell a
        stray from a stranger.
        """
        self._poll = poll
        self._reaper = reaper
        self._runs = runs
        self._by_pid = by_pid
        self._is_own = is_own
        self._mark = mark
        self._record = record
        self._owners: dict[int, Run | None] = {}
        """None for those that were killed."""
        self._strays: dict[int, set[str]] = {}
        """Those that do not say whose they are: the attempts that they may belong to."""
        self._timer: Timer | None = None
        self._delay_s = LOOK_AGAIN_S

    def reaped(self, pid: int) -> bool:
        """A child has been reaped; False when it was no orphan."""
        self._strays.pop(pid, None)
        if pid not in self._owners:
            return False
        owner = self._owners.pop(pid)
        if owner is not None:
            owner.adopted.discard(pid)
        return True

    def sweep(self, *, lost_forks: bool = False) -> None:
        """Find out whose the new ones are, and kill those of ended attempts.

        With `lost_forks` also forks of a warm interpreter that died before it had named them.
        """
        for pid in self._reaper.inherited(self._is_known):
            entry = proc.stat(pid)
            if entry is None or entry.state in "ZX":
                continue
            attempt_id = proc.marker(pid, ATTEMPT)
            if attempt_id is not None:
                run = self._runs.get(attempt_id)
            else:
                run = self._by_pid.get(entry.session)
            if run is not None:
                run.adopted.add(pid)
                self._place(pid, run)
            elif (
                attempt_id is not None
                or (lost_forks and proc.marker(pid, WARM) == self._mark)
                or self._is_nobodys(entry)
            ):
                kill(pid)
                self._place(pid, None)
        if self._strays and self._timer is None:
            self._timer = self._poll.after(self._delay_s, self._look_again)

    def strays(self) -> list[Stray]:
        """Those that do not say whose they are."""
        found = [proc.stat(pid) for pid in self._strays]
        return [Stray(entry.pid, entry.boot_ticks) for entry in found if entry is not None]

    def _is_known(self, pid: int) -> bool:
        return pid in self._owners or self._is_own(pid)

    def _place(self, pid: int, owner: Run | None) -> None:
        self._owners[pid] = owner
        self._strays.pop(pid, None)

    def _is_nobodys(self, entry: proc.Stat) -> bool:
        """Whether all attempts have ended that a stray may belong to."""
        owners = self._strays.get(entry.pid)
        if owners is None:
            owners = set(self._runs)
            self._delay_s = LOOK_AGAIN_S
            self._record(Stray(entry.pid, entry.boot_ticks))
        self._strays[entry.pid] = owners & self._runs.keys()
        return not self._strays[entry.pid]

    def _look_again(self) -> None:
        self._timer = None
        self._delay_s *= 2
        self.sweep()
