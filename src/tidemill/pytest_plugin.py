"""The pytest fixtures `tidemill`, a private server for a test, and `tidemill_server`, the server.

pytest loads this module in every project that has Tidemill installed, so it imports nothing that
a test has not asked for.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tidemill.sdk.local import LocalServer

ENDED = ("SUCCEEDED", "FAILED")


@pytest.fixture(scope="session")
def tidemill_server() -> Iterator[LocalServer]:
    """A private server for all tests of this process (with pytest-xdist: of this worker).

    Nothing uses it by itself; the fixture `tidemill` makes a test use it. It goes after the last
    test with its jobs and its folder, also at Ctrl-C, and when the process is killed.
    """
    from tidemill.sdk.local import private

    with private() as server:
        yield server


@pytest.fixture
def tidemill(
    tidemill_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalServer]:
    """The private server, used by the library and by every other AWS client during the test.

    The environment has no `AWS_` variables but those of this server, and no user's configuration
    is read. Jobs that the test has left under way are ended after it; what it has stored stays
    there for the next test.
    """
    from tidemill.sdk import client

    begun_ms = time.time_ns() // 1_000_000
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in tidemill_server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    default_session = _exchange_default_session(None)
    before = client.use(tidemill_server.connection())
    try:
        yield tidemill_server
        _end_jobs(tidemill_server, begun_ms)
    finally:
        client.use(before)
        _exchange_default_session(default_session)


def _exchange_default_session(session: object) -> object:
    """The session of `boto3.client`, which boto3 makes at its first use and keeps: another one."""
    boto3 = sys.modules.get("boto3")
    if boto3 is None:
        return None
    before: object = boto3.DEFAULT_SESSION
    boto3.DEFAULT_SESSION = session  # type: ignore[attr-defined]  # boto3 has no types
    return before


def _end_jobs(server: LocalServer, since_ms: int) -> None:
    batch = server.client("batch")
    since = [{"name": "AFTER_CREATED_AT", "values": [str(since_ms - 1)]}]
    queues = batch.get_paginator("describe_job_queues").paginate()
    for queue in [queue["jobQueueName"] for page in queues for queue in page["jobQueues"]]:
        pages = batch.get_paginator("list_jobs").paginate(jobQueue=queue, filters=since)
        for job in [job for page in pages for job in page["jobSummaryList"]]:
            if job["status"] not in ENDED:
                batch.terminate_job(jobId=job["jobId"], reason="Its test has ended.")
