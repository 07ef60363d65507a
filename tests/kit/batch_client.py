"""Batch as its users have it: boto3, real jobs that run shell commands, and files to steer them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DEADLINE_S = 30.0
ENDED = ("SUCCEEDED", "FAILED")


class BatchClient:
    """A boto3 client and short words for what tests do with it; every name made is new."""

    def __init__(self, client: Any, folder: Path) -> None:
        self.client = client
        self.folder = folder

    def name(self, word: str = "t") -> str:
        return f"{word}-{uuid.uuid4().hex[:12]}"

    def queue(self, vcpus: int = 4, **members: Any) -> str:
        """A queue with a compute environment of its own; its name."""
        environment = members.pop("environment", None) or self.environment(vcpus)
        name = self.name("queue")
        self.client.create_job_queue(
            jobQueueName=name,
            priority=members.pop("priority", 1),
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
            **members,
        )
        return name

    def environment(self, vcpus: int = 4, **members: Any) -> str:
        """A compute environment; its name."""
        name = self.name("environment")
        self.client.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={"type": "EC2", "maxvCpus": vcpus, "minvCpus": 0},
            **members,
        )
        return name

    def define(self, *command: str, vcpus: str = "1", memory: str = "64", **members: Any) -> str:
        """A job definition of one container; its name."""
        name = members.pop("jobDefinitionName", None) or self.name("definition")
        container = {
            "image": "busybox",
            "command": list(command),
            "resourceRequirements": [
                {"type": "VCPU", "value": vcpus},
                {"type": "MEMORY", "value": memory},
            ],
            **members.pop("container", {}),
        }
        self.client.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **members
        )
        return name

    def submit(self, queue: str, definition: str, **members: Any) -> str:
        """Submit; the job's id."""
        params = {"jobName": "job", "jobQueue": queue, "jobDefinition": definition, **members}
        return str(self.client.submit_job(**params)["jobId"])

    def run(self, queue: str, command: str, **members: Any) -> str:
        """Submit a shell command; the job's id."""
        return self.submit(queue, self.define("sh", "-c", command), **members)

    def describe(self, job_id: str) -> dict[str, Any]:
        (job,) = self.client.describe_jobs(jobs=[job_id])["jobs"]
        found: dict[str, Any] = job
        return found

    def until(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job's detail once it is in one of these states; fails when it ended in another."""
        job: dict[str, Any] = {}

        def arrived() -> bool:
            job.update(self.describe(job_id))
            ended = job["status"] in ENDED and job["status"] not in states
            assert not ended, f"{job_id} ended: {job['status']} {job.get('statusReason')}"
            return job["status"] in states

        wait_for(arrived)
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.until(job_id, *ENDED)

    def succeeded(self, *job_ids: str) -> list[dict[str, Any]]:
        return [self.until(job_id, "SUCCEEDED") for job_id in job_ids]

    def failed(self, job_id: str) -> dict[str, Any]:
        return self.until(job_id, "FAILED")

    def listed(self, **params: Any) -> list[str]:
        """The ids of all pages of ListJobs."""
        pages = self.client.get_paginator("list_jobs").paginate(**params)
        return [job["jobId"] for page in pages for job in page["jobSummaryList"]]

    def held(self, file: str) -> str:
        """A shell command that runs until `release(file)`."""
        return f"while [ ! -e {self.folder / file} ]; do sleep 0.02; done"

    def release(self, file: str) -> None:
        (self.folder / file).touch()

    def write(self, file: str) -> str:
        """A shell command that adds a line, its standard input's or a word's, to a file."""
        return f">> {self.folder / file}"

    def lines(self, file: str) -> list[str]:
        path = self.folder / file
        return path.read_text("utf-8").splitlines() if path.exists() else []


def wait_for(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Return once `condition` holds; fails at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)  # polls what only a client's call can tell  # polls


def codes(jobs: Sequence[dict[str, Any]]) -> list[int]:
    """The exit codes of ended jobs."""
    return [job["container"]["exitCode"] for job in jobs]
