"""Holds attempts to their memory: looks at them now and then, and names those over their limit.

The one poll there is, and only while attempts run for longer than one interval. Memory is first
added up as resident sets, which is cheap and counts shared pages several times; only an attempt
that is over its limit by that is measured exactly, so that forks which share their parent's
memory are not killed for it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Final

from tidemill.engines.process import proc
from tidemill.engines.process.run import Run

INTERVAL_S: Final = 0.25
SHARE: Final = 0.02
"""What part of a core looking may cost: where there are very many processes, it is rarer."""
MIB: Final = 1024 * 1024


def look(runs: Iterable[Run]) -> tuple[list[Run], float]:
    """The runs over their limit, and after how many seconds to look again."""
    begin = time.thread_time()
    tree = proc.Tree()
    over = [run for run in runs if run.pid and _is_over(run, tree)]
    cost_s = time.thread_time() - begin
    return over, max(INTERVAL_S, cost_s / SHARE)


def _is_over(run: Run, tree: proc.Tree) -> bool:
    pids = tree.kin((run.pid, *run.adopted))
    used_bytes = sum(tree.table[pid].rss_bytes for pid in pids)
    limit_bytes = run.order.memory_mib * MIB
    if used_bytes > limit_bytes:
        used_bytes = _exactly(pids) or used_bytes
    run.memory_peak_bytes = max(run.memory_peak_bytes, used_bytes)
    return used_bytes > limit_bytes


def _exactly(pids: Collection[int]) -> int:
    return sum(map(proc.pss_bytes, pids))
