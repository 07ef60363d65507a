"""`import tidemill` and making a job of a function cost a program next to nothing."""

from __future__ import annotations

import subprocess
import sys

DEAR = ("asyncio", "boto3", "botocore", "email", "http.client", "rich", "ssl", "subprocess")
PROGRAM = """
import sys
import tidemill as tm

@tm.job(memory="1GiB", timeout="15m", retry_on=OSError)
def work(number: int) -> int:
    return number

assert work(2) == 2
print(*sys.modules)
"""


def test_what_only_submitting_needs_is_not_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    assert not set(DEAR) & set(done.stdout.split())
