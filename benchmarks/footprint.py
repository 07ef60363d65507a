"""What an idle server costs: start, CPU, memory; and how soon a test has one."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.report import claim, median
from tidemill.sdk.local import LocalServer, local

STARTS = 5
IDLE_S = 10.0
FIXTURE = re.compile(r"([0-9.]+)s setup +\S+::test_it")


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


def command_start_s(folder: Path) -> float:
    """Seconds from `tidemill serve` on an empty folder until it serves."""
    reading, writing = os.pipe()
    begun = time.perf_counter()
    options = ("--data", str(folder), "--port", "0", "--ready-fd", str(writing))
    with subprocess.Popen(
        [sys.executable, "-m", "tidemill", "serve", *options],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(writing)
        os.read(reading, 1)
        took_s = time.perf_counter() - begun
        os.close(reading)
        server.terminate()
    return took_s


def local_s() -> tuple[float, float]:
    """Seconds until `tm.local()` is ready, and until it has gone."""
    begun = time.perf_counter()
    with local():
        ready = time.perf_counter()
    return ready - begun, time.perf_counter() - ready


def fixture_s(folder: Path) -> float:
    """Seconds that pytest takes to set up the fixture `tidemill` for its first test."""
    (folder / "test_it.py").write_text("def test_it(tidemill): pass\n")
    options = ("-p", "tidemill.pytest_plugin", "-p", "no:cacheprovider", "--durations=0", "-vv")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=folder, check=True, capture_output=True
    )
    found = FIXTURE.search(done.stdout.decode())
    assert found is not None, done.stdout
    return float(found[1])


def import_s() -> float:
    """CPU seconds of `import tidemill` and a decorated function, beyond those of Python itself.

    CPU, as it tells least of what else the machine does.
    """
    program = "import tidemill; tidemill.job(len)"
    return _cpu_of("-c", program) - _cpu_of("-c", "")


def _cpu_of(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_s = median([command_start_s(folder / f"{each}") for each in range(STARTS)])
        claim("tidemill serve, empty database", f"{start_s:.3f} s", "< 0.5 s", start_s < 0.5)
        readies, ends = zip(*(local_s() for _ in range(STARTS)), strict=True)
        ready_s, end_s = median(readies), median(ends)
        told = f"{ready_s:.3f} s; gone in {end_s:.3f} s"
        claim("tm.local() ready", told, "< 0.3 s", ready_s < 0.3)
        fixture = median([fixture_s(folder) for _ in range(STARTS)])
        claim("pytest's fixture ready", f"{fixture:.2f} s", "< 0.3 s", fixture < 0.3)
    imports = median([import_s() for _ in range(STARTS)])
    claim("import tidemill, CPU", f"{imports * 1e3:.0f} ms", "< 60 ms", imports < 0.06)
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
