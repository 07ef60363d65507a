"""A run of the library, found again by its id, with its function's folder where imports look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tidemill.cli.connection import client
from tidemill.cli.job import describe
from tidemill.sdk.definition import RESULTS


def handle_of(job_id: str) -> Any:
    """The library's `Run` or `MapRun` of this id; a sentence when it is none of the library's."""
    from tidemill.cli.target import see_first
    from tidemill.sdk.lookup import reference_of, run

    client("batch")  # the library goes by the same connection
    [job] = describe([job_id])
    place = reference_of(job).rpartition(":")[0]
    see_first(str(Path(place).parent) if place.endswith(".py") else os.getcwd())  # noqa: PTH109
    return run(job["jobId"])


def parts_of(job: dict[str, Any]) -> list[str]:
    """The ids of the jobs that a job, as DescribeJobs gives it, stands for now: itself mostly.

    A large map of the library is several arrays; what failed of a run and was retried is done by
    later jobs.
    """
    job_id = str(job["jobId"])
    results = str((job.get("parameters") or {}).get(RESULTS, ""))
    is_whole = not results or ("#" not in results and job["status"] != "FAILED")
    if is_whole or ":" in job_id:
        return [job_id]
    handle = handle_of(job_id)
    _ = handle.status  # it learns of retries by looking
    ids: list[str] = handle.upstream_ids()
    return ids or [job_id]
