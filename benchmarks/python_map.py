"""`noop.map` over 5,000 items: in a process each beside bare forks, in chunks beside Celery."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import celery_peer
from benchmarks.report import claim, median
from benchmarks.warmed import noop
from tidemill.sdk.local import local

ITEMS = 5_000
FORKS = 1_500
CHUNK = 50
RUNS = 3
Row = tuple[float, float, float, float, float]
"""Rates: bare forks one by one, two at a time, a process each, in chunks, Celery."""


def fork_rates() -> tuple[float, float]:
    """Bare fork + wait a second of the same warmed interpreter: one by one, and two at a time."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.warmed", str(FORKS)],
        check=True,
        capture_output=True,
        text=True,
    )
    single, double = map(float, done.stdout.split())
    return single, double


def map_rate(chunk: int) -> float:
    """Items a second from the call of `map` to the list of its results."""
    begun = time.perf_counter()
    values = noop.map(range(ITEMS), chunk=chunk).result()
    took_s = time.perf_counter() - begun
    assert values == [None] * ITEMS
    return ITEMS / took_s


def main() -> None:
    """Measure and print."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(local())
        peer = _peer(stack)
        map_rate(ITEMS)  # the first job of a module waits for its interpreter to warm up
        rows = [(*fork_rates(), map_rate(1), map_rate(CHUNK), peer(ITEMS)) for _ in range(RUNS)]
    _tell_of_processes(rows)
    _tell_of_chunks(rows)


def _peer(stack: contextlib.ExitStack) -> Callable[[int], float]:
    lacking = celery_peer.missing()
    if lacking is None:
        return stack.enter_context(celery_peer.celery()).group_rate
    print(f"not beside Celery: there is no {lacking}")
    return lambda _: math.nan


def _tell_of_processes(rows: Sequence[Row]) -> None:
    ratio = median([ours / single for single, _, ours, _, _ in rows])
    double = median([ours / double for _, double, ours, _, _ in rows])
    claim(
        f"map of {ITEMS:,} no-op items in a process each",
        f"{median([row[2] for row in rows]):,.0f}/s, bare fork + wait "
        f"{median([row[0] for row in rows]):,.0f}/s, ratio {ratio:.2f} "
        f"({double:.2f} beside two forks at a time)",
        "ratio >= 0.5",
        ratio >= 0.5,
    )


def _tell_of_chunks(rows: Sequence[Row]) -> None:
    gain = median([chunked / ours for _, _, ours, chunked, _ in rows])
    ratio = median([chunked / celery for *_, chunked, celery in rows])
    claim(
        f"the same in chunks of {CHUNK}",
        f"{median([row[3] for row in rows]):,.0f}/s, {gain:.1f} times that; Celery "
        f"{median([row[4] for row in rows]):,.0f}/s, ratio {ratio:.1f}",
        "> 10 times, ratio > 5",
        gain > 10 and not ratio <= 5,
    )


if __name__ == "__main__":
    main()
