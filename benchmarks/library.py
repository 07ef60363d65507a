"""What the library's submissions and round trips cost, beside Celery's with Redis."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence

from benchmarks import celery_peer
from benchmarks.celery_peer import Celery, timed_s
from benchmarks.report import claim, median
from benchmarks.warmed import noop
from tidemill.sdk.local import LocalServer, local

CALLS = 1_000
TRIPS = 200
RUNS = 3
Row = tuple[float, float, float]
"""Calls a second: in one list, one by one, and by Celery's `delay`."""


def many_rate() -> float:
    """Calls a second that one `submit_many` takes; returns once all have been worked off."""
    begun = time.perf_counter()
    runs = noop.submit_many([(number,) for number in range(CALLS)])
    took_s = time.perf_counter() - begun
    runs.wait()
    return CALLS / took_s


def single_rate() -> float:
    """Calls of `submit` a second, one after the other; returns once all have been worked off."""
    begun = time.perf_counter()
    runs = [noop.submit(number) for number in range(CALLS)]
    took_s = time.perf_counter() - begun
    for run in reversed(runs):
        run.wait()
    return CALLS / took_s


def parked_rate() -> float:
    """The same into a queue whose jobs don't start."""
    begun = time.perf_counter()
    runs = [noop.submit(number, queue="parked") for number in range(CALLS)]
    took_s = time.perf_counter() - begun
    for run in runs:
        run.cancel()
    return CALLS / took_s


def park(server: LocalServer) -> None:
    """Make a queue whose jobs don't start: its one environment is disabled."""
    batch = server.client("batch")
    batch.create_compute_environment(
        computeEnvironmentName="parked",
        type="MANAGED",
        state="DISABLED",
        computeResources={"type": "EC2", "maxvCpus": 1, "minvCpus": 0},
    )
    batch.create_job_queue(
        jobQueueName="parked",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "parked"}],
    )


def main() -> None:
    """Measure and print."""
    with contextlib.ExitStack() as stack:
        park(stack.enter_context(local()))
        noop.submit(0).result()  # the first job of a module waits for its interpreter to warm up
        lacking = celery_peer.missing()
        peer = None if lacking else stack.enter_context(celery_peer.celery())
        if lacking:
            print(f"not beside Celery: there is no {lacking}")
        rows = [(many_rate(), single_rate(), _delay_rate(peer)) for _ in range(RUNS)]
        parked = [(parked_rate(), _parked_rate(peer)) for _ in range(RUNS)]
        ours_s = median([timed_s(lambda: noop.submit(0).result()) for _ in range(TRIPS)])
        peer_s = median(peer.round_trips_s(TRIPS)) if peer else math.nan
    _tell_of_submissions(rows, parked)
    ratio = ours_s / peer_s
    claim(
        "a no-op from submit to result, in a process of its own",
        f"p50 {ours_s * 1e3:.1f} ms, Celery's in a shared one {peer_s * 1e3:.1f} ms, "
        f"{ratio:.1f} times that",
        "< 5 times",
        not ratio >= 5,
    )


def _delay_rate(peer: Celery | None) -> float:
    return peer.delay_rate(CALLS) if peer else math.nan


def _parked_rate(peer: Celery | None) -> float:
    return peer.parked_rate(CALLS) if peer else math.nan


def _tell_of_submissions(rows: Sequence[Row], parked: Sequence[tuple[float, float]]) -> None:
    delay = median([row[2] for row in rows])
    gain = median([many / delay for many, _, delay in rows])
    claim(
        f"submit_many of {CALLS:,} calls",
        f"{median([row[0] for row in rows]):,.0f}/s, Celery's delay {delay:,.0f}/s, "
        f"ratio {gain:.1f}",
        "ratio >= 5",
        not gain < 5,
    )
    ratio = median([single / delay for _, single, delay in rows])
    claim(
        "submit, one by one",
        f"{median([row[1] for row in rows]):,.0f}/s, Celery's delay {delay:,.0f}/s, "
        f"ratio {ratio:.2f}",
        "ratio >= 0.5",
        not ratio < 0.5,
    )
    ratio = median([single / delay for single, delay in parked])
    print(
        f"        the same where nothing of it runs yet: "
        f"{median([row[0] for row in parked]):,.0f}/s, Celery's "
        f"{median([row[1] for row in parked]):,.0f}/s, ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
