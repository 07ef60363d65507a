"""Clients that know nothing of Tidemill: the aws command and Luigi's BatchTask, as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient

from tidemill.sdk.local import LocalServer, local

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with local() as started:
        yield started


@pytest.fixture
def environment(server: LocalServer, tmp_path: Path) -> dict[str, str]:
    """What a shell has whose owner ran `tidemill config`."""
    nowhere = str(tmp_path / "none")
    return {
        **server.environment(),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_PAGER": "",
    }


def test_the_aws_command(server: LocalServer, environment: dict[str, str], tmp_path: Path) -> None:
    def aws(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "awscli", "batch", *words, "--output", "json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    size = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    container = {"image": "busybox", "command": ["true"], "resourceRequirements": size}
    registered = aws(
        *("register-job-definition", "--job-definition-name", "cli", "--type", "container"),
        *("--container-properties", json.dumps(container)),
    )
    assert registered["revision"] == 1
    job_id = aws(
        *("submit-job", "--job-name", "one", "--job-queue", "default", "--job-definition", "cli")
    )["jobId"]
    BatchClient(server.client("batch"), tmp_path).succeeded(job_id)
    (job,) = aws("describe-jobs", "--jobs", job_id)["jobs"]
    assert job["status"] == "SUCCEEDED"


LUIGI = """
import logging, sys, warnings
warnings.simplefilter("ignore")
import luigi
from luigi.contrib.batch import BatchTask

task = BatchTask(job_definition=sys.argv[1], job_queue="default", poll_time=1)
sys.exit(not luigi.build([task], local_scheduler=True, log_level="WARNING"))
"""


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1)])
def test_luigi(
    server: LocalServer, environment: dict[str, str], tmp_path: Path, command: str, code: int
) -> None:
    name = BatchClient(server.client("batch"), tmp_path).define(command)
    done = subprocess.run(
        [sys.executable, "-c", LUIGI, name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    said = done.stdout + done.stderr
    assert ("BatchJobException" in said) is bool(code), said
    assert "AttributeError" not in said
