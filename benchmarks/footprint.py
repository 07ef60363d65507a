"""What an idle server costs: start, CPU, memory; and a start with 100,000 jobs waiting."""

from __future__ import annotations

import time

import psutil

from benchmarks.array_of_true import define
from benchmarks.report import claim, median
from tidemill.sdk.local import LocalServer, local

STARTS = 5
IDLE_S = 10.0
ACTIVE_JOBS = 100_000
ARRAY_SIZE = 10_000


def start_s(server: LocalServer) -> float:
    """Seconds from the command to the first answer."""
    begun = time.perf_counter()
    server.start()
    server.client("sts").get_caller_identity()
    return time.perf_counter() - begun


def family(server: LocalServer) -> list[psutil.Process]:
    """The server and its runner (which is no child of it: it outlives it)."""
    marker = str(server.data)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if marker in " ".join(process.info["cmdline"] or [])
    ]


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    """Measure and print."""
    starts = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        with local() as server:
            starts.append(time.perf_counter() - begun)
    claim("start, empty database", f"{median(starts):.3f} s", "< 0.5 s", median(starts) < 0.5)
    with local() as server:
        processes = family(server)
        before = cpu_s(processes)
        time.sleep(IDLE_S)
        share = (cpu_s(processes) - before) / IDLE_S
        pss = sum(process.memory_full_info().pss for process in processes) / 1e6
        claim("idle CPU", f"{share:.2%} of a core", "< 1%", share < 0.01)
        claim("idle memory, server and runner", f"{pss:.0f} MB PSS", "< 90 MB", pss < 90)
        _restart_with_jobs(server)


def _restart_with_jobs(server: LocalServer) -> None:
    batch = server.client("batch")
    batch.update_job_queue(jobQueue="default", computeEnvironmentOrder=[])
    definition = define(batch)
    for _ in range(ACTIVE_JOBS // ARRAY_SIZE):
        batch.submit_job(
            jobName="waiting",
            jobQueue="default",
            jobDefinition=definition,
            arrayProperties={"size": ARRAY_SIZE},
        )
    server.terminate()
    print(f"        restart with {ACTIVE_JOBS:,} children in arrays: {start_s(server):.3f} s")


if __name__ == "__main__":
    main()
