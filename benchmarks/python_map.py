"""`noop.map` over 5,000 items: in a process each beside bare forks, in chunks beside Celery."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.report import claim, median
from benchmarks.warmed import noop
from tidemill.sdk import client
from tidemill.sdk.local import LocalServer, local

ITEMS = 5_000
FORKS = 1_500
CHUNK = 50
RUNS = 3


def fork_rates(server: LocalServer) -> tuple[float, float]:
    """Bare fork + wait a second of the same warmed interpreter: one by one, and two at a time."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.warmed", str(FORKS)],
        env=os.environ | server.environment(),
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
    rows = []
    with local() as server:
        before = client.use(server.connection())
        map_rate(ITEMS)  # the first job of a module waits for its interpreter to warm up
        for _ in range(RUNS):
            rows.append((*fork_rates(server), map_rate(1), map_rate(CHUNK)))
        client.use(before)
    single, double, ours, chunked = (median(column) for column in zip(*rows, strict=True))
    ratio = median([row[2] / row[0] for row in rows])
    claim(
        f"map of {ITEMS:,} no-op items in a process each",
        f"{ours:,.0f}/s, bare fork + wait {single:,.0f}/s, ratio {ratio:.2f}; "
        f"two forks at a time {double:,.0f}/s, ratio {median([r[2] / r[1] for r in rows]):.2f}",
        "ratio >= 0.5",
        ratio >= 0.5,
    )
    gain = median([row[3] / row[2] for row in rows])
    claim(
        f"the same in chunks of {CHUNK}",
        f"{chunked:,.0f}/s, {gain:.1f} times that",
        "> 10 times",
        gain > 10,
    )


if __name__ == "__main__":
    main()
