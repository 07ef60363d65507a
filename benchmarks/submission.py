"""SubmitJob: how soon a process runs after it, and how many are taken in a second."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.array_of_true import define
from benchmarks.report import claim, percentile
from tidemill.sdk.local import LocalServer, local

SAMPLES = 200
CONNECTIONS = 256
SUBMISSIONS = 20_000


class SignOfLife:
    """A job whose first act is to write to a fifo that this process waits on."""

    def __init__(self, server: LocalServer) -> None:
        fifo = server.data.parent / "sign-of-life"
        os.mkfifo(fifo)
        self._reading = os.open(fifo, os.O_RDWR)
        server.client("batch").register_job_definition(
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

    def waits_ms(self, submit: Callable[[], object]) -> list[float]:
        """Milliseconds from each call of `submit` to the job's sign, one job at a time."""
        waits = []
        for _ in range(SAMPLES):
            begun = time.perf_counter()
            submit()
            os.read(self._reading, 1)
            waits.append((time.perf_counter() - begun) * 1000)
            time.sleep(0.02)  # the server is idle when the next one comes
        return waits


def raw_submitter(server: LocalServer) -> Callable[[], object]:
    """SubmitJob by one connection and requests signed beforehand: no client's own time."""
    host, port = server.endpoint.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    requests = iter([signed_request(server, n, "default", "sign") for n in range(SAMPLES)])

    def submit() -> None:
        connection.sendall(next(requests))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)

    return submit


def signed_request(
    server: LocalServer, number: int, queue: str = "still", definition: str = "true"
) -> bytes:
    """A whole SubmitJob request as bytes, signed beforehand."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = json.dumps(
        {"jobName": f"j{number}", "jobQueue": queue, "jobDefinition": definition}
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


def bare_spawn_ms() -> float:
    """Milliseconds from a bare spawn of the same shell to its sign: the limit."""
    reading, writing = os.pipe()
    waits = []
    for _ in range(SAMPLES):
        begun = time.perf_counter()
        pid = os.posix_spawn(
            "/bin/dash",
            ["dash", "-c", "echo >&3"],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, writing, 3)],
        )
        os.read(reading, 1)
        waits.append((time.perf_counter() - begun) * 1000)
        os.waitpid(pid, 0)
    os.close(reading)
    os.close(writing)
    return percentile(waits, 50)


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
        sign = SignOfLife(server)
        waits = sign.waits_ms(raw_submitter(server))
        p50, p99 = percentile(waits, 50), percentile(waits, 99)
        batch = server.client("batch")
        by_boto3 = sign.waits_ms(
            lambda: batch.submit_job(jobName="sign", jobQueue="default", jobDefinition="sign")
        )
        claim(
            "SubmitJob to first instruction, idle",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms (bare spawn of the same {bare_spawn_ms():.1f} ms; "
            f"by boto3, its own time included, p50 {percentile(by_boto3, 50):.1f} ms)",
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
