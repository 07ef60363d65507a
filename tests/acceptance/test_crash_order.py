"""Orders to end jobs outlive the server that took them and the runner that was to obey."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crash_lab import FIRST, SEEDS, CrashLab, crash_lab

GRACE_S = 2
DEAF = "trap '' TERM; while :; do sleep 0.1; done"


def _server(lab: CrashLab) -> None:
    lab.kill_server()
    lab.start()


def _runner(lab: CrashLab) -> None:
    lab.kill_runner()


def _both(lab: CrashLab) -> None:
    lab.kill_server()
    lab.kill_runner()
    lab.start()


DEATHS: tuple[Callable[[CrashLab], None], ...] = (_server, _runner, _both)
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))


@seeds
def test_jobs_that_are_to_end_do_so(seed: int) -> None:
    with crash_lab(seed) as lab:
        batch = lab.batch
        queue = batch.queue(8)
        deaf = lab.define_with_grace("deaf", DEAF, GRACE_S)
        long = lab.define("long", "sleep 300")
        for death in DEATHS:
            retried: dict[str, Any] = {"retryStrategy": {"attempts": 3}}
            ended = batch.submit(queue, deaf, **retried)
            timed = batch.submit(queue, long, timeout={"attemptDurationSeconds": 1}, **retried)
            for job_id in (ended, timed):
                batch.until(job_id, "RUNNING")
            batch.client.terminate_job(jobId=ended, reason="enough")
            lab.pause(0.05)
            death(lab)
            job = batch.failed(ended)
            assert job["statusReason"] == "enough"
            assert len(job["attempts"]) == 1, "what was terminated is not retried"
            job = batch.failed(timed)
            assert job["statusReason"] == "Job attempt duration exceeded timeout"
            # Its time may have run out with its host already gone.
            assert job["attempts"][-1]["container"].get("exitCode") in (143, None)
            lab.until(lambda: not lab.family())


@seeds
def test_an_array_that_is_to_end_does_so(seed: int) -> None:
    size = 300
    with crash_lab(seed) as lab:
        batch = lab.batch
        queue = batch.queue(4)
        short = lab.define("short", "sleep 0.02")
        for death in DEATHS:
            before = lab.witness.read().ended
            array_id = batch.submit(queue, short, arrayProperties={"size": size})
            lab.after_jobs(before + 20)
            batch.client.terminate_job(jobId=array_id, reason="enough")
            lab.pause(0.05)
            death(lab)
            batch.failed(array_id)
            counts = lab.counts(array_id)
            assert counts["SUCCEEDED"] + counts["FAILED"] == sum(counts.values()) == size
            for child in lab.children(array_id, size):
                _check_child(lab, child)
            assert not lab.family()


def _check_child(lab: CrashLab, child: dict[str, Any]) -> None:
    """It came to its end, or was ended for the reason that was given, or never began."""
    seen = lab.witness.of(child["jobId"])
    if child["status"] == "SUCCEEDED":
        assert seen.ends
    else:
        assert child["statusReason"] == "enough"
        assert bool(seen.starts) <= bool(child["attempts"])
