"""An array of 5,000 `/bin/true`, with logs and durable records, beside `xargs -P2`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from typing import Any

from benchmarks.report import claim, in_turn
from tidemill.sdk.local import LocalServer, local

JOBS = 5_000
RUNS = 3
PAUSE_S = 0.1
"""How often the end is asked for: asking takes of the time that is measured."""


def xargs_rate() -> float:
    """Processes a second of `xargs -P2 -n1 /bin/true`."""
    names = "\n".join(map(str, range(JOBS))).encode()
    begun = time.perf_counter()
    subprocess.run(["xargs", "-P2", "-n1", "/bin/true"], input=names, check=True)
    return JOBS / (time.perf_counter() - begun)


def spawn_rate() -> float:
    """Processes a second of a bare pool of two posix_spawns: the limit of this machine."""
    begun = time.perf_counter()
    running: deque[int] = deque()
    for _ in range(JOBS):
        if len(running) == 2:
            os.waitid(os.P_ALL, 0, os.WEXITED)
            running.popleft()
        running.append(os.posix_spawn("/bin/true", ["true"], {}, setsigdef=[signal.SIGPIPE]))
    while running:
        os.waitid(os.P_ALL, 0, os.WEXITED)
        running.popleft()
    return JOBS / (time.perf_counter() - begun)


def define(batch: Any, name: str = "true") -> str:
    """A job definition that runs `/bin/true` on one vCPU."""
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": "host",
            "command": ["/bin/true"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "128"},
            ],
        },
    )
    return name


def wait_for(batch: Any, job_id: str) -> dict[str, Any]:
    """The job's detail once it has ended."""
    while True:
        job: dict[str, Any] = batch.describe_jobs(jobs=[job_id])["jobs"][0]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return job
        time.sleep(PAUSE_S)


def array_rate(server: LocalServer, definition: str) -> float:
    """Jobs a second from the submission of the array to its recorded end."""
    batch = server.client("batch")
    begun = time.perf_counter()
    job_id = batch.submit_job(
        jobName="true",
        jobQueue="default",
        jobDefinition=definition,
        arrayProperties={"size": JOBS},
    )["jobId"]
    job = wait_for(batch, job_id)
    took_s = time.perf_counter() - begun
    assert job["status"] == "SUCCEEDED", job
    assert job["arrayProperties"]["statusSummary"]["SUCCEEDED"] == JOBS
    return JOBS / took_s


def main() -> None:
    """Measure and print."""
    with local() as server:
        definition = define(server.client("batch"))
        ours, peer, ratio = in_turn(lambda: array_rate(server, definition), xargs_rate, RUNS)
    bare = spawn_rate()
    claim(
        f"array of {JOBS:,} /bin/true",
        f"{ours:,.0f}/s, xargs -P2 {peer:,.0f}/s, ratio {ratio:.2f}; bare spawn {bare:,.0f}/s",
        "ratio >= 1.0",
        ratio >= 1.0,
    )


if __name__ == "__main__":
    main()
