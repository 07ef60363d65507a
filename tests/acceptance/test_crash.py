"""kill -9 of the server, of its runner and of both, at random moments of a run of many real jobs.

`make simulate` runs more seeds; `TIDEMILL_SIMULATE_FIRST` says from which one on. A seed says what
is killed after how many jobs; the rest is up to the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crash_attempt import EXITED, HOST_GONE, check_lost_and_run_again
from crash_lab import FIRST, IS_LONG, SEEDS, CrashLab, crash_lab

GROUP = "/aws/batch/job"
LOST_AT_ONCE_MAX = 60
"""How many attempts one death of the runner may cost: what ran, and what was about to."""
SPOT_RULES = {
    "attempts": 10,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}
TROUBLE = """
case $((AWS_BATCH_JOB_ARRAY_INDEX % 4)) in
1) trap '' TERM; sleep 0.02 ;;
2) (setsid sleep 300 &) ;;
3) sh -c 'trap "" TERM; sleep 300' & ;;
esac
"""
"""Jobs that are slow to go, or leave something behind that holds their lock on."""

seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))


@seeds
@pytest.mark.parametrize(("store", "size", "kills"), [("sqlite", 2000, 6), ("postgres", 400, 2)])
def test_a_killed_server_loses_nothing_and_runs_nothing_twice(
    store: str, size: int, kills: int, seed: int, request: pytest.FixtureRequest
) -> None:
    arguments: tuple[str, ...] = ()
    if store == "postgres":
        arguments = ("--database", request.getfixturevalue("new_postgres_url")())
    with crash_lab(seed, *arguments) as lab:
        batch = lab.batch
        queue = batch.queue(4)
        short = lab.define("short", "sleep 0.01", is_locked=False, memory="16")
        lasting = _Lasting(lab, batch.queue(kills + 2), kills)
        array_id = batch.submit(queue, short, arrayProperties={"size": size})
        for number, goal in enumerate(sorted(lab.random.sample(range(10, size - 10), kills))):
            lab.after_jobs(goal)
            lasting.see_running(number)
            lab.kill_server()
            lasting.end_while_it_is_dead(number)
            lab.start()
            assert sum(lab.counts(array_id).values()) == size
            lasting.check(number)
        lasting.release()
        _check_array(lab, array_id, size)


class _Lasting:
    """Jobs that run for long: two over all deaths, and one for each death, which ends meanwhile."""

    def __init__(self, lab: CrashLab, queue: str, kills: int) -> None:
        self._lab = lab
        self._through = [self._submit(queue, f"through-{i}", 0) for i in range(2)]
        self._ending = [self._submit(queue, f"ending-{i}", i + 3) for i in range(kills)]
        self._started_at: dict[str, int] = {}

    def _submit(self, queue: str, name: str, code: int) -> str:
        batch = self._lab.batch
        work = f"{batch.held(name)}; code={code}"
        return batch.submit(queue, self._lab.define(name, work, memory="16"))

    def see_running(self, number: int) -> None:
        """Wait until the server knows that those run which the next death concerns."""
        for job_id in (*self._through, self._ending[number]):
            self._started_at[job_id] = self._lab.batch.until(job_id, "RUNNING")["startedAt"]

    def end_while_it_is_dead(self, number: int) -> None:
        """Let one job end now."""
        self._lab.batch.release(f"ending-{number}")
        self._lab.until(lambda: bool(self._lab.witness.of(self._ending[number]).ends))

    def check(self, number: int) -> None:
        """What ended has its exit code; the others never noticed."""
        job = self._lab.batch.failed(self._ending[number])
        assert job["container"]["exitCode"] == number + 3
        assert job["startedAt"] == self._started_at[job["jobId"]]
        assert [entry["statusReason"] for entry in job["attempts"]] == [EXITED]
        for job_id in self._through:
            job = self._lab.batch.describe(job_id)
            assert (job["status"], job["startedAt"]) == ("RUNNING", self._started_at[job_id])

    def release(self) -> None:
        """Let those end that lived through it all, as the processes that they began as."""
        for i, job_id in enumerate(self._through):
            self._lab.batch.release(f"through-{i}")
            self._lab.batch.succeeded(job_id)
            seen = self._lab.witness.of(job_id)
            assert len(seen.starts) == 1
            assert seen.ends == seen.starts


def _check_array(lab: CrashLab, array_id: str, size: int) -> None:
    """Every child ran once, was recorded so, and has its output in the logs."""
    children = lab.succeeded(array_id, size)
    counts = lab.counts(array_id)
    assert counts["SUCCEEDED"] == sum(counts.values()) == size
    for child in children:
        seen = lab.witness.of(child["jobId"])
        assert len(seen.ends) == 1, f"{child['jobId']} did not run"
        assert [entry["container"]["exitCode"] for entry in child["attempts"]] == [0]
    for child in children if IS_LONG else lab.random.sample(children, 100):
        assert lab.output(child) == [f"output of {child['jobId']} 1"]
    streams = {child["container"]["logStreamName"]: child["jobId"] for child in children}
    found = sorted(
        (streams[event["logStreamName"]], event["message"])
        for page in lab.logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        for event in page["events"]
        if event["logStreamName"] in streams
    )
    assert found == sorted((job_id, f"output of {job_id} 1") for job_id in streams.values())


@seeds
def test_a_killed_runner_s_jobs_run_again_where_their_rules_say_so(seed: int) -> None:
    size, fragile_size, kills = 500, 100, 6
    with crash_lab(seed) as lab:
        batch = lab.batch
        queue = batch.queue(4)
        trouble = lab.define("trouble", TROUBLE, memory="16", retryStrategy=SPOT_RULES)
        fragile = lab.define("fragile", TROUBLE, memory="16")
        array_id = batch.submit(queue, trouble, arrayProperties={"size": size})
        fragile_id = batch.submit(batch.queue(1), fragile, arrayProperties={"size": fragile_size})
        for goal in sorted(lab.random.sample(range(10, size // 2), kills)):
            lab.after_jobs(goal)
            lab.kill_runner()
            lab.until(lambda: bool(lab.runners()))
        lost = check_lost_and_run_again(lab.witness, lab.succeeded(array_id, size))
        batch.ended(fragile_id)
        gone = _check_fragile(lab, lab.children(fragile_id, fragile_size))
        assert 0 < lost + gone <= kills * LOST_AT_ONCE_MAX


def _check_fragile(lab: CrashLab, jobs: list[dict[str, Any]]) -> int:
    """Each had its one attempt; how many lost it."""
    lost = 0
    for job in jobs:
        (attempt,) = job["attempts"]
        assert not lab.witness.of(job["jobId"], 2).starts
        if job["status"] == "FAILED":
            assert HOST_GONE.fullmatch(job["statusReason"])
            lost += 1
        else:
            assert (attempt["statusReason"], attempt["container"]["exitCode"]) == (EXITED, 0)
    return lost


@seeds
def test_whatever_dies_together_or_while_it_starts(seed: int) -> None:
    size = 400
    with crash_lab(seed) as lab:
        batch = lab.batch
        trouble = lab.define("trouble", TROUBLE, memory="16", retryStrategy=SPOT_RULES)
        array_id = batch.submit(batch.queue(4), trouble, arrayProperties={"size": size})
        calamities = _calamities(lab) * (2 if IS_LONG else 1)
        lab.random.shuffle(calamities)
        goals = sorted(lab.random.sample(range(10, size - 100), len(calamities)))
        for goal, calamity in zip(goals, calamities, strict=True):
            lab.after_jobs(goal)
            calamity()
            lab.start()
            assert sum(lab.counts(array_id).values()) == size
        check_lost_and_run_again(lab.witness, lab.succeeded(array_id, size))


def _calamities(lab: CrashLab) -> list[Callable[[], None]]:
    """The ways in which things come to die; after each the server is down."""
    start_s = 0.6  # about what it takes here; in that time it comes to do all that it does

    def server_then_runner() -> None:
        lab.kill_server()
        lab.pause(0.05)
        lab.kill_runner()

    def runner_then_server() -> None:
        lab.kill_runner()
        lab.pause(0.3)
        lab.kill_server()

    def starting_server() -> None:
        lab.kill_server()
        for _ in range(2):
            lab.kill_starting(lab.random.uniform(0.3, 1.5) * start_s)

    def starting_server_without_runner() -> None:
        lab.kill_server()
        lab.kill_runner()
        for _ in range(2):
            lab.kill_starting(lab.random.uniform(0.3, 1.5) * start_s)

    return [
        server_then_runner,
        runner_then_server,
        starting_server,
        starting_server_without_runner,
    ]
