"""SubmitJob: how soon a process runs after it, and how many are taken in a second."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from benchmarks.array_of_true import define
from benchmarks.report import claim, percentile
from tidemill.sdk.local import LocalServer, local

SAMPLES = 200
CONNECTIONS = 256
SUBMISSIONS = 20_000


def first_instruction_ms(server: LocalServer) -> list[float]:
    """Milliseconds from the call of SubmitJob to the job's first sign of life, one at a time.

    The job is a shell whose first act is to open a fifo, which this process waits on.
    """
    batch = server.client("batch")
    fifo = server.data.parent / "sign-of-life"
    os.mkfifo(fifo)
    batch.register_job_definition(
        jobDefinitionName="sign",
        type="container",
        containerProperties={
            "image": "host",
            "command": ["/bin/dash", "-c", f"echo > {fifo}"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "128"},
            ],
        },
    )
    waits = []
    reading = os.open(fifo, os.O_RDWR)
    for _ in range(SAMPLES):
        begun = time.perf_counter()
        batch.submit_job(jobName="sign", jobQueue="default", jobDefinition="sign")
        os.read(reading, 1)
        waits.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.01)  # idle between samples
    os.close(reading)
    return waits


def signed_request(server: LocalServer, number: int) -> bytes:
    """A whole SubmitJob request as bytes, signed beforehand."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = json.dumps(
        {"jobName": f"j{number}", "jobQueue": "still", "jobDefinition": "true"}
    ).encode()
    url = server.endpoint + "/v1/submitjob"
    request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
    credentials = Credentials(server.access_key_id, server.secret_access_key)
    SigV4Auth(credentials, "batch", server.region).add_auth(request)
    host = server.endpoint.removeprefix("http://")
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(
        ["POST /v1/submitjob HTTP/1.1", f"Host: {host}", *lines, f"Content-Length: {len(body)}"]
    )
    return head.encode() + b"\r\n\r\n" + body


async def submit_all(server: LocalServer, requests: list[bytes]) -> float:
    """Submissions a second over `CONNECTIONS` connections at once."""
    host, port = server.endpoint.removeprefix("http://").split(":")
    streams = [await asyncio.open_connection(host, int(port)) for _ in range(CONNECTIONS)]
    waiting = iter(requests)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)

    begun = time.perf_counter()
    await asyncio.gather(*(pump(*stream) for stream in streams))
    took_s = time.perf_counter() - begun
    for _, writer in streams:
        writer.close()
    return len(requests) / took_s


def fsync_rate(folder: Path, writes: int = 2_000) -> float:
    """Synchronous 4 KiB appends a second: the limit without group commit."""
    with (folder / "fsync").open("wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(writes):
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
        return writes / (time.perf_counter() - begun)


def loopback_us() -> float:
    """Microseconds of a bare request and answer of one byte over loopback: the floor."""
    listener = socket.create_server(("127.0.0.1", 0))
    here = socket.create_connection(listener.getsockname())
    there, _ = listener.accept()
    begun = time.perf_counter()
    for _ in range(1_000):
        here.send(b"x")
        there.recv(1)
        there.send(b"x")
        here.recv(1)
    return (time.perf_counter() - begun) * 1000


def still_queue(batch: Any) -> None:
    """A queue whose jobs all wait: its compute environment is disabled."""
    environment = "still"
    batch.create_compute_environment(
        computeEnvironmentName=environment,
        type="UNMANAGED",
        state="DISABLED",
    )
    batch.create_job_queue(
        jobQueueName="still",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
    )


def main() -> None:
    """Measure and print."""
    with local() as server:
        waits = first_instruction_ms(server)
        p50, p99 = percentile(waits, 50), percentile(waits, 99)
        claim(
            "SubmitJob to first instruction, idle",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms (bare loopback {loopback_us():.0f} us)",
            "p50 < 5 ms, p99 < 20 ms",
            p50 < 5 and p99 < 20,
        )
    with local() as server:
        define(server.client("batch"))
        still_queue(server.client("batch"))
        requests = [signed_request(server, number) for number in range(SUBMISSIONS)]
        rate = asyncio.run(submit_all(server, requests))
        limit = fsync_rate(server.data)
        claim(
            f"durable SubmitJob over {CONNECTIONS} connections",
            f"{rate:,.0f}/s, {rate / limit:.2f} of bare synchronous appends ({limit:,.0f}/s)",
            "> 2,000/s",
            rate > 2_000,
        )


if __name__ == "__main__":
    main()
