"""A job that prints without end, beside many short ones: nothing fills up, nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from crash_lab import IS_LONG, CrashLab, crash_lab

LINE_BYTES = 1000
LINES = 1_000_000 if IS_LONG else 60_000
SHORT = 300
GROWTH_BYTES_MAX = 8 << 20
SAMPLE_S = 0.1


def test_a_torrent_of_output_fills_no_memory_and_holds_up_nobody() -> None:
    with crash_lab(0) as lab:
        batch = lab.batch
        queue = batch.queue(2)
        alone_s = _run_short(lab, queue)
        work = f'seq -f "%0{LINE_BYTES - 1}.0f" {LINES}'
        torrent = batch.submit(batch.queue(1), lab.define("torrent", work, memory="64"))
        with _memory_watched(lab) as growth:
            beside_s = _run_short(lab, queue)
            batch.succeeded(torrent)
        assert max(growth) < GROWTH_BYTES_MAX
        # One of three busy processes gets a third of the machine; the rest is for its noise.
        assert beside_s < 6 * alone_s + 3
        assert _count_lines(lab, batch.describe(torrent)) == LINES


def _run_short(lab: CrashLab, queue: str) -> float:
    """How long an array of short jobs takes, in seconds."""
    begin = time.monotonic()
    short = lab.define("short", "", is_locked=False, memory="16")
    lab.batch.succeeded(lab.batch.submit(queue, short, arrayProperties={"size": SHORT}))
    return time.monotonic() - begin


@contextmanager
def _memory_watched(lab: CrashLab) -> Iterator[list[int]]:
    """By how many bytes server and runner are larger than they were, again and again."""
    (runner,) = lab.runners()
    watched = [runner, psutil.Process(lab.server.pid)]
    begin = _pss(watched)
    growth: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            growth.append(_pss(watched) - begin)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield growth
    finally:
        over.set()
        thread.join()


def _pss(processes: list[psutil.Process]) -> int:
    return sum(process.memory_full_info().pss for process in processes)


def _count_lines(lab: CrashLab, job: dict[str, Any]) -> int:
    """How many numbered lines a job's stream holds, all there and in their order."""
    stream = {
        "logGroupName": "/aws/batch/job",
        "logStreamName": job["container"]["logStreamName"],
        "startFromHead": True,
    }
    answer = lab.logs.get_log_events(**stream)
    assert answer["events"].pop(0)["message"] == f"output of {job['jobId']} 1"
    number = 0
    while events := answer["events"]:
        for event in events:
            number += 1
            assert event["message"] == f"{number:0{LINE_BYTES - 1}}"
        answer = lab.logs.get_log_events(**stream, nextToken=answer["nextForwardToken"])
    return number
