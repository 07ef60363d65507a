"""A warm interpreter doing nothing but forking: the limit of jobs in a process each.

Run as a program: `python -m benchmarks.warmed FORKS` prepares itself as the library's fork server
does for the same job, then prints forks a second, one after the other and two at a time.
"""

from __future__ import annotations

import gc
import os
import sys
import time

import tidemill as tm


@tm.job
def noop(item: int) -> None:
    """Nothing."""


def rate(forks: int, at_once: int) -> float:
    """Forks that exit at once, and are waited for, a second."""
    begun = time.perf_counter()
    running = 0
    for _ in range(forks):
        if running == at_once:
            os.wait()
            running -= 1
        if os.fork() == 0:
            os._exit(0)
        running += 1
    while running:
        os.wait()
        running -= 1
    return forks / (time.perf_counter() - begun)


def main() -> None:
    """Warm up, with the client that jobs need, and measure."""
    import boto3

    from tidemill.sdk import client, worker

    worker.prepare("benchmarks.warmed:noop")
    session = boto3.session.Session("key", "secret", region_name="us-east-1")
    client.use(client.Connection(session, "http://127.0.0.1:1"))
    params = {"Bucket": "bucket", "Key": "key"}
    client.client("s3").generate_presigned_url("put_object", Params=params)
    gc.collect()
    gc.freeze()
    gc.disable()
    print(rate(int(sys.argv[1]), 1), rate(int(sys.argv[1]), 2))


if __name__ == "__main__":
    main()
