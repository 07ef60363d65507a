"""What attempts that were lost look like, and that only those were followed by others."""

from __future__ import annotations

import re
from typing import Any

from crash_witness import Witness

HOST_GONE = re.compile(r"Host EC2 \(instance i-[0-9a-f]{17}\) terminated\.")
EXITED = "Essential container in task exited"


def check_lost_and_run_again(witness: Witness, jobs: list[dict[str, Any]]) -> int:
    """They have succeeded only after attempts that were lost; how many those are."""
    lost = 0
    for job in jobs:
        *before, last = job["attempts"]
        assert (last["statusReason"], last["container"]["exitCode"]) == (EXITED, 0)
        assert witness.of(job["jobId"], len(before) + 1).ends
        assert not witness.of(job["jobId"], len(before) + 2).starts
        for attempt in before:
            assert HOST_GONE.fullmatch(attempt["statusReason"]), attempt
            assert "exitCode" not in attempt["container"]
        lost += len(before)
    return lost
