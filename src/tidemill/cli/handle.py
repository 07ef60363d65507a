"""A run of the library, found again by its id, with its function's folder where imports look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tidemill.cli.connection import client
from tidemill.cli.job import describe
from tidemill.cli.target import see_first
from tidemill.sdk.lookup import reference_of, run


def handle_of(job_id: str) -> Any:
    """The library's `Run` or `MapRun` of this id; a sentence when it is none of the library's."""
    client("batch")  # the library goes by the same connection
    [job] = describe([job_id])
    place = reference_of(job).rpartition(":")[0]
    see_first(str(Path(place).parent) if place.endswith(".py") else os.getcwd())  # noqa: PTH109
    return run(job["jobId"])
