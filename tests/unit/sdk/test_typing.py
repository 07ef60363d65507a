"""What a type checker knows of the library: checked by running one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from __future__ import annotations
from typing import Any, assert_type
import tidemill as tm

@tm.job(vcpus=1, attempts=3, retry_on=ConnectionError, backoff=("2s", "1m"), keep="3d")
def fetch(tenant: str, limit: int = 5) -> list[str]: raise NotImplementedError

@tm.job
def shrink(images: list[str]) -> float: raise NotImplementedError

@tm.job
def summary(reports: list[float]) -> str: raise NotImplementedError

assert_type(fetch("acme"), list[str])
run = fetch.submit("acme", limit=3)
assert_type(run, tm.Run[list[str]])
assert_type(run.result(timeout=3), list[str])
assert_type(fetch.submit("acme", tenant="acme"), tm.Run[list[str]])
assert_type(fetch.options(tenant="acme", priority=3).submit("acme"), tm.Run[list[str]])
key: str | None = "from a header" if run.status else None
assert_type(fetch.submit("acme", key=key), tm.Run[list[str]])
assert_type(fetch.submit("acme", backoff=("1s", "1m")), tm.Run[list[str]])
assert_type(fetch.submit("acme", concurrency="2/tenant"), tm.Run[list[str]])
fetched = fetch.map(["a", "b"], chunk="auto", key="today")
assert_type(fetched, tm.MapRun[list[str]])
reports = shrink.map(fetched)
assert_type(reports, tm.MapRun[float])
assert_type(reports.result(), list[float])
assert_type([value for value in reports], list[float])
assert_type(reports[0], tm.Run[float])
assert_type(reports[0].result(), float)
assert_type(reports.retry(), tm.MapRun[float])
final = summary.submit(reports)
assert_type(final.result(progress=True), str)
assert_type(summary.submit_many([([1.0],)]).result(), list[str])
for done in tm.as_completed([final]):
    assert_type(done, tm.Run[str])
for failure in reports.failures():
    assert_type(failure.error, Exception)

async def wait() -> None:
    assert_type(await final, str)
    assert_type(await reports, list[float])

fetch.submit()  # refused
fetch.submit(3)  # refused
fetch.submit("acme", limt=3)  # refused
fetch.options(tenant="acme").submit(3)  # refused
fetch.options(tennant="acme")  # refused
fetch.map([1, 2])  # refused
fetch.map(["a"], chnk=3)  # refused
shrink.map(reports)  # refused
fetch.submit("acme").result() + 3  # refused
tm.job(retry_on="ConnectionError")  # refused
"""


def test_a_type_checker_knows_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)],
        env=os.environ | {"MYPY_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    complaints = {int(n) for n in re.findall(r"program\.py:(\d+): error", checked.stdout)}
    lines = enumerate(PROGRAM.splitlines(), 1)
    refused = {number for number, line in lines if line.endswith("# refused")}
    assert complaints == refused, checked.stdout
