"""Holds attempts to their memory: looks at them now and then, and names those over their limit.

The one poll there is, and only while attempts run for longer than one interval. Memory is first
added up as resident sets, which is cheap and counts shared pages several times; only an attempt
that is over its limit by that is measured exactly, so that forks which share their parent's
memory are not killed for it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from tidemill.engines.process import proc
from tidemill.engines.process.run import Run

INTERVAL_S: Final = 0.25
SHARE: Final = 0.02
"""What part of a core looking may cost: where there are very many processes, it is rarer."""
FOREIGN_AFTER_S: Final = 2
MIB: Final = 1024 * 1024


class Watch:
    """Looks at all attempts together; remembers which processes are none of theirs."""

    def __init__(self) -> None:
        self._foreign: set[int] = set()

    def look(self, runs: Collection[Run]) -> tuple[list[Run], float]:
        """The runs over their limit, and after how many seconds to look again."""
        begin_s = time.thread_time()
        try:
            tree = proc.Tree(self._foreign)
        except OSError:  # no file is left to look through
            return [], INTERVAL_S
        over = [run for run in runs if run.pid and _is_over(run, tree)]
        self._know(tree, runs)
        cost_s = time.thread_time() - begin_s
        return over, max(INTERVAL_S, cost_s / SHARE)

    def _know(self, tree: proc.Tree, runs: Collection[Run]) -> None:
        """Skip next time what is certain to be a stranger: no descendant, and there for a while."""
        old = proc.boot_ticks() - FOREIGN_AFTER_S * proc.TICKS_PER_S
        ours = tree.kin([pid for run in runs for pid in (run.pid, *run.adopted)])
        new = {entry.pid for entry in tree.table.values() if entry.boot_ticks < old}
        self._foreign = (self._foreign & tree.pids) | (new - ours)


def _is_over(run: Run, tree: proc.Tree) -> bool:
    pids = tree.kin((run.pid, *run.adopted))
    used_bytes = sum(tree.table[pid].rss_bytes for pid in pids)
    limit_bytes = run.order.memory_mib * MIB
    if used_bytes > limit_bytes:
        used_bytes = sum(_exact_bytes(tree.table[pid]) for pid in pids)
    run.memory_peak_bytes = max(run.memory_peak_bytes, used_bytes)
    return used_bytes > limit_bytes


def _exact_bytes(entry: proc.Stat) -> int:
    """What a process uses now; one that has just ended uses nothing, and is not over for it."""
    pss_bytes = proc.pss_bytes(entry.pid)
    return entry.rss_bytes if pss_bytes is None else pss_bytes
