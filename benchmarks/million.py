"""Large lines: an array of a million children taken in, and 100,000 jobs taken up at a start."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import psutil

from benchmarks.array_of_true import define
from benchmarks.report import claim, median
from benchmarks.submission import still_queue, submit_all
from tidemill.sdk.local import LocalServer, local

ARRAYS = 5
CHILDREN = 1_000_000
ACTIVE_JOBS = 100_000


def resident_mb(server: LocalServer) -> float:
    """The server's memory, counted as its share of what it has mapped."""
    return float(psutil.Process(server.pid).memory_full_info().pss) / 1e6


def submit_array(batch: Any) -> float:
    """Milliseconds until an array of a million children is taken in."""
    begun = time.perf_counter()
    batch.submit_job(
        jobName="million",
        jobQueue="still",
        jobDefinition="true",
        arrayProperties={"size": CHILDREN},
    )
    return (time.perf_counter() - begun) * 1000


def unsigned_request(server: LocalServer, number: int) -> bytes:
    """A SubmitJob request to a server that checks no signatures."""
    body = json.dumps({"jobName": f"j{number}", "jobQueue": "still", "jobDefinition": "true"})
    host = server.endpoint.removeprefix("http://")
    return (
        f"POST /v1/submitjob HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def main() -> None:
    """Measure and print."""
    with local("--limits", "lifted", "--auth", "off") as server:
        batch = server.client("batch")
        define(batch)
        still_queue(batch)
        batch.submit_job(jobName="first", jobQueue="still", jobDefinition="true")
        before_mb = resident_mb(server)
        took_ms = median([submit_array(batch) for _ in range(ARRAYS)])
        grown_mb = (resident_mb(server) - before_mb) / ARRAYS
        claim(
            f"an array of {CHILDREN:,} children taken in",
            f"{took_ms:.1f} ms by boto3, {grown_mb:.2f} MB",
            "< 50 ms, < 20 MB",
            took_ms < 50 and grown_mb < 20,
        )
        before_mb = resident_mb(server)
        requests = [unsigned_request(server, number) for number in range(ACTIVE_JOBS)]
        rate = asyncio.run(submit_all(server, requests))
        grown_mb = resident_mb(server) - before_mb
        server.terminate()
        begun = time.perf_counter()
        server.start()
        took_s = time.perf_counter() - begun
        print(
            f"        {ACTIVE_JOBS:,} jobs waiting: taken in at {rate:,.0f}/s, {grown_mb:.0f} MB; "
            f"a start that takes them up: {took_s:.2f} s, {resident_mb(server):.0f} MB"
        )


if __name__ == "__main__":
    main()
