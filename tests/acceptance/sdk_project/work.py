"""Jobs that the acceptance tests of the library run."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tidemill as tm


@dataclass(frozen=True)
class Report:
    tenant: str
    total: int


class OutOfStock(Exception):
    pass


@tm.job
def noop(item: int) -> None:
    return None


@tm.job
def square(item: int) -> int:
    return item * item


@tm.job
def where() -> tuple[str, str, str]:
    return str(Path.cwd()), sys.executable, os.environ["PATH"]


@tm.job(vcpus=0.5, memory="256MiB")
def report(tenant: str, amounts: list[int]) -> Report:
    print("adding up for", tenant)
    return Report(tenant, sum(amounts))


@tm.job
def double(found: Report) -> Report:
    return Report(found.tenant, 2 * found.total)


@tm.job
def reports_of(tenant: str) -> Report:
    return Report(tenant, len(tenant))


@tm.job
def summary(reports: list[Report], title: str = "") -> str:
    assert all(type(each) is Report for each in reports)
    return f"{title}{sum(each.total for each in reports)} of {len(reports)}"


@tm.job
def sell(item: int) -> int:
    if item == 7:
        raise OutOfStock(f"no item {item}")
    return item


@tm.job
def echo(value: object) -> object:
    return value


@tm.job
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@tm.job
def leave(code: int) -> None:
    sys.exit(code)


@tm.job
def generator() -> object:
    return (item for item in range(3))


@tm.job(attempts=3)
def flaky(counter: str) -> int:
    with Path(counter).open("a") as file:
        file.write("x")
    tries = len(Path(counter).read_text())
    if tries < 3:
        raise OutOfStock(f"try {tries}")
    return tries


@tm.job
def forever(mark: str) -> None:
    Path(mark).touch()
    while True:
        time.sleep(3600)  # the job's own


@tm.job
def mended(item: int, fixed: str) -> int:
    if item % 3 == 1 and not Path(fixed).exists():
        raise OutOfStock(f"no item {item}")
    return item


@tm.job
def tenth(item: int) -> int:
    """Fails for some until the file of the environment is there, as code that is mended would."""
    if item % 4 == 2 and not Path(os.environ["FIXED"]).exists():
        raise OutOfStock(f"no item {item}")
    return 10 * item


@tm.job
def plus_one(item: int) -> int:
    return item + 1


@tm.job
def total(items: list[int], more: int = 0) -> int:
    return sum(items) + more


@tm.job
def variables(tenant: str) -> tuple[str, str | None, str | None]:
    return tenant, os.environ.get("COLOUR"), os.environ.get("TIDEMILL_TENANT")


@tm.job
def gated(gate: str) -> str:
    print("waiting", flush=True)
    while not Path(gate).exists():
        time.sleep(0.02)  # polls
    print("through")
    return gate


@tm.job(concurrency=2)
def crowded(folder: str) -> int:
    """How many of its kind ran while it did, itself included."""
    mine = Path(folder) / str(os.getpid())
    mine.touch()
    most = 0
    for _ in range(10):
        most = max(most, len(list(Path(folder).iterdir())))
        time.sleep(0.01)  # the job's own
    mine.unlink()
    return most


@tm.job
def told(steps: int) -> int:
    for step in range(steps):
        tm.progress(step + 1, steps, f"step {step + 1}")
    return steps


@tm.job
def twice(item: int) -> int:
    return 2 * item
