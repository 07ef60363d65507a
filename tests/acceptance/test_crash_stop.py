"""Ends that somebody asked for: of the server alone, of the server with its jobs, of one job."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from crash_lab import CrashLab, crash_lab

GRACE_S = 2
DEAF = """
trap '' TERM
sh -c 'while :; do sleep 0.1; done' &
(setsid sh -c 'while :; do sleep 0.1; done' &)
touch "$CRASH_LAB/ready"
while :; do sleep 0.1; done
"""
"""A family that SIGTERM can't end: a child of the shell's, and one that went away."""
DAEMONS = """
sleep 300 &
(setsid sleep 300 &)
(env -i CRASH_LAB="$CRASH_LAB" setsid sleep 300 &)
"""
"""In the job's group, out of its session, and with nothing left that would say whose it is."""


@pytest.fixture(scope="module")
def shared() -> Iterator[CrashLab]:
    """One server for the tests that leave it running."""
    with crash_lab(0) as lab:
        yield lab


def test_a_clean_stop_leaves_jobs_running_and_the_next_start_takes_them_up() -> None:
    with crash_lab(0) as lab:
        batch = lab.batch
        queue = batch.queue(2)
        lasting = batch.submit(queue, lab.define("lasting", batch.held("go")))
        ending = batch.submit(queue, lab.define("ending", f"{batch.held('end')}; code=7"))
        before = [batch.until(job_id, "RUNNING")["startedAt"] for job_id in (lasting, ending)]
        waiting = batch.submit(queue, lab.define("waiting", "", vcpus="2"))
        _stop_by_signal(lab)
        lab.start()
        assert [batch.describe(job_id)["startedAt"] for job_id in (lasting, ending)] == before
        _stop_by_command(lab)
        batch.release("end")
        lab.until(lambda: bool(lab.witness.of(ending).ends))
        assert not lab.witness.of(waiting).starts, "nobody could take it back now"
        lab.start()
        assert batch.failed(ending)["container"]["exitCode"] == 7
        assert batch.describe(lasting)["status"] == "RUNNING"
        batch.release("go")
        jobs = [*batch.succeeded(lasting, waiting), batch.describe(ending)]
        assert [len(job["attempts"]) for job in jobs] == [1, 1, 1]
        assert [jobs[0]["startedAt"], jobs[2]["startedAt"]] == before


def _stop_by_signal(lab: CrashLab) -> None:
    lab.server.terminate()


def _stop_by_command(lab: CrashLab) -> None:
    command = (sys.executable, "-m", "tidemill", "stop", "--data", str(lab.server.data))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    lab.server.terminate()  # it has ended, and is taken in


def test_stop_with_jobs_leaves_nothing_running_and_forgets_nothing() -> None:
    with crash_lab(0) as lab:
        batch = lab.batch
        queue = batch.queue(3)
        families = [
            batch.submit(queue, lab.define(name, f"{DAEMONS}{batch.held('never')}"))
            for name in ("one", "two")
        ]
        retried = lab.define("retried", batch.held("go"), retryStrategy={"attempts": 2})
        again = batch.submit(queue, retried)
        for job_id in (*families, again):
            batch.until(job_id, "RUNNING")
        waiting = batch.submit(queue, lab.define("waiting", ""))
        lab.until(lambda: lab.commands().count(["sleep", "300"]) == 6)
        lab.server.stop()
        assert [*lab.family(), *lab.runners()] == []
        lab.start()
        for job_id in families:
            assert batch.failed(job_id)["container"]["exitCode"] == 143
        batch.release("go")
        (job,) = batch.succeeded(again)
        assert [entry["container"]["exitCode"] for entry in job["attempts"]] == [143, 0]
        batch.succeeded(waiting)


def test_what_jobs_leave_behind_ends_with_them(shared: CrashLab) -> None:
    batch = shared.batch
    leaving = shared.define("leaving", DAEMONS, memory="16")
    array_id = batch.submit(batch.queue(4), leaving, arrayProperties={"size": 100})
    batch.succeeded(array_id)
    shared.until(lambda: not shared.family())


def test_sigterm_reaches_the_whole_group(shared: CrashLab) -> None:
    batch = shared.batch
    note = f"echo heard {batch.write('heard')}"
    child = f"""sh -c "trap '{note}; exit' TERM; while :; do sleep 0.05; done" &\n"""
    work = f"{child}{child}trap '{note}; wait; exit 9' TERM\ntouch {batch.folder}/up\nwait"
    job_id = batch.submit(batch.queue(1), shared.define("group", work))
    batch.until(job_id, "RUNNING")
    shared.until((batch.folder / "up").exists)
    batch.client.terminate_job(jobId=job_id, reason="enough")
    job = batch.failed(job_id)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 9)
    assert batch.lines("heard") == ["heard"] * 3


def test_sigkill_reaches_the_whole_family_after_the_grace(shared: CrashLab) -> None:
    batch = shared.batch
    job_id = batch.submit(batch.queue(1), shared.define_with_grace("deaf", DEAF, GRACE_S))
    batch.until(job_id, "RUNNING")
    shared.until((batch.folder / "ready").exists)
    family = shared.family()
    assert len(family) >= 3
    batch.client.terminate_job(jobId=job_id, reason="enough")
    job = batch.failed(job_id)
    assert job["attempts"][0]["container"]["exitCode"] == 137
    assert job["stoppedAt"] >= job["startedAt"] + GRACE_S * 1000
    shared.until(lambda: not shared.family())
