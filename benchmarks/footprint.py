"""What an idle server costs: start, CPU, memory."""

from __future__ import annotations

import time

import psutil

from benchmarks.report import claim, median
from tidemill.sdk.local import LocalServer, local

STARTS = 5
IDLE_S = 10.0


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


if __name__ == "__main__":
    main()
