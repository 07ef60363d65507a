"""Run every benchmark, one after the other: what `make bench` does."""

from __future__ import annotations

import platform
import subprocess
import sys

NAMES = ["array_of_true", "python_map", "library", "submission", "dispatch", "million", "footprint"]


def main() -> None:
    """Print the machine, then each benchmark's claims."""
    import psutil

    print(f"{platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}")
    for name in sys.argv[1:] or NAMES:
        print(f"\n{name}", flush=True)
        # In a process of its own: what one has imported or started is no other's.
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
