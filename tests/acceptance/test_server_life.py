"""A server's life: it stops and jobs go on, it comes back with everything, it is copied."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient
from shell import clean_environment, processes_with, run, sentence, serve, until

from tidemill.sdk.local import LocalServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    started = LocalServer(tmp_path / "data").start()
    yield started
    started.stop()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell whose data folder is the server's."""
    return clean_environment(tmp_path, TIDEMILL_DATA=str(tmp_path / "data"))


def submitted(environment: dict[str, str], *arguments: str) -> str:
    done = run("submit", *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def status(environment: dict[str, str], job_id: str) -> str:
    done = run("show", job_id, "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["status"])


GATED = 'echo begun > "$0.begun"; until [ -e "$0.gate" ]; do sleep 0.05; done; echo "through"'
"""A job that says that it runs, and runs until its gate opens."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_jobs_running(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / "job"
    with serve(environment=environment) as served:
        served.wait_ready()
        served.wait_said("`tidemill stop --jobs` ends both")
        job = submitted(environment, "--", "sh", "-c", GATED, str(place))
        until(place.with_suffix(".begun").exists, "the job runs")
        served.signal(number)
        assert "1 job runs on" in served.finish()
        assert served.process.returncode == 0
    assert "No server runs" in sentence(run("ps", environment=environment))
    place.with_suffix(".gate").touch()
    with serve(environment=environment) as again:
        again.wait_ready()
        done = run("wait", job, environment=environment)
        assert (done.returncode, "SUCCEEDED" in done.stdout) == (0, True), done.stderr
        assert run("logs", job, environment=environment).stdout == "through\n"
        assert run("stop", "--jobs", environment=environment).returncode == 0
        again.finish()


def test_a_server_that_comes_back_finds_its_jobs_running(
    server: LocalServer, environment: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / "job"
    job = submitted(environment, "--", "sh", "-c", GATED, str(place))
    until(place.with_suffix(".begun").exists, "the job runs")
    done = run("stop", environment=environment)
    server.terminate()
    assert "1 running job will go on" in done.stdout
    server.start()
    assert "1 job runs on from before" in server.output()
    assert status(environment, job) == "RUNNING"
    place.with_suffix(".gate").touch()
    assert run("wait", job, environment=environment).returncode == 0


def test_stop_with_jobs_leaves_no_process(
    server: LocalServer, environment: dict[str, str], tmp_path: Path
) -> None:
    marker = str(tmp_path / "job")
    job = submitted(environment, "--", "sh", "-c", GATED, marker)
    until(Path(marker + ".begun").exists, "the job runs")
    assert processes_with(marker)
    done = run("stop", "--jobs", environment=environment)
    server.terminate()
    assert "1 running job with it" in done.stdout
    assert not processes_with(marker)
    until(lambda: not processes_with(str(server.data)), "server and runner have ended")
    server.start()
    assert status(environment, job) == "FAILED"


def test_stop_without_a_server(environment: dict[str, str]) -> None:
    assert "No server runs" in sentence(run("stop", environment=environment))


def test_nothing_is_lost_at_a_restart(server: LocalServer, environment: dict[str, str]) -> None:
    ended = submitted(environment, "--", "echo", "heard")
    assert run("wait", ended, environment=environment).returncode == 0
    _fill(server)
    before = _everything(server)
    assert [job["jobId"] for job in before["jobs"]] == [ended]
    server.terminate()
    server.start()
    assert _everything(server) == before
    assert run("logs", ended, environment=environment).stdout == "heard\n"


def test_a_backup_is_made_while_jobs_run(
    server: LocalServer, environment: dict[str, str], tmp_path: Path
) -> None:
    place = tmp_path / "job"
    running = submitted(environment, "--", "sh", "-c", GATED, str(place))
    ended = submitted(environment, "--", "echo", "heard")
    assert run("wait", ended, environment=environment).returncode == 0
    until(place.with_suffix(".begun").exists, "the job runs")
    _fill(server)
    before = _everything(server)
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o755)
    done = run("backup", str(copy), "--json", environment=environment)
    assert json.loads(done.stdout)["files"] >= 4, done.stderr
    assert not [path.name for path in copy.iterdir() if path.stat().st_mode & 0o077]
    assert "name a new folder" in sentence(run("backup", str(copy), environment=environment))
    inside = str(server.data / "copy")
    assert "data folder" in sentence(run("backup", inside, environment=environment))

    restored = LocalServer(copy).start()
    try:
        after = _everything(restored)
        assert {name: after[name] for name in after if name != "jobs"} == {
            name: before[name] for name in before if name != "jobs"
        }
        assert {job["jobId"] for job in after["jobs"]} == {running, ended}
        assert restored.access_key_id == server.access_key_id
        elsewhere = {**environment, "TIDEMILL_DATA": str(copy)}
        assert run("logs", ended, environment=elsewhere).stdout == "heard\n"
        # Its attempt runs under the other server, not under the copy: here it is lost.
        assert run("wait", running, environment=elsewhere).returncode == 1
        assert "Host EC2" in run("why", running, environment=elsewhere).stdout
    finally:
        restored.stop()
    assert status(environment, running) == "RUNNING", "the copy's end did not reach it"
    place.with_suffix(".gate").touch()
    assert run("wait", running, environment=environment).returncode == 0


def _fill(server: LocalServer) -> None:
    s3, batch, logs = server.client("s3"), server.client("batch"), server.client("logs")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a//b/..", Body=b"x" * 100_000)
    server.client("s3").put_object(Bucket="kept", Key="empty", Body=b"")
    logs.create_log_group(logGroupName="/mine")
    BatchClient(batch, server.data).queue()


def _everything(server: LocalServer) -> dict[str, Any]:
    """What clients can see of the server's state."""
    s3, batch, logs = server.client("s3"), server.client("batch"), server.client("logs")
    objects = s3.list_objects_v2(Bucket="kept").get("Contents", [])
    after = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    return {
        "jobs": batch.list_jobs(jobQueue="default", filters=after)["jobSummaryList"],
        "queues": batch.describe_job_queues()["jobQueues"],
        "environments": [
            {**each, "computeResources": None}  # how much is in use differs
            for each in batch.describe_compute_environments()["computeEnvironments"]
        ],
        "definitions": batch.describe_job_definitions()["jobDefinitions"],
        "objects": {
            each["Key"]: s3.get_object(Bucket="kept", Key=each["Key"])["Body"].read()
            for each in objects
        },
        "groups": logs.describe_log_groups()["logGroups"],
    }


def test_a_backup_that_fails_leaves_nothing(
    environment: dict[str, str], tmp_path: Path, new_postgres_url: Any
) -> None:
    server = LocalServer(tmp_path / "data", ["--database", new_postgres_url()]).start()
    try:
        copy = tmp_path / "copy"
        said = sentence(run("backup", str(copy), environment=environment))
        assert "pg_dump" in said
        assert not copy.exists()
    finally:
        server.stop()


def test_a_server_in_a_terminal_is_told_from_its_job_by_ctrl_c(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C signals the terminal's whole process group; jobs are in none of it."""
    place = tmp_path / "job"
    with serve(environment=environment) as served:
        served.wait_ready()
        job = submitted(environment, "--", "sh", "-c", GATED, str(place))
        until(place.with_suffix(".begun").exists, "the job runs")
        os.killpg(served.process.pid, signal.SIGINT)
        assert "1 job runs on" in served.finish()
    place.with_suffix(".gate").touch()
    with serve(environment=environment) as again:
        again.wait_ready()
        assert run("wait", job, environment=environment).returncode == 0
        run("stop", "--jobs", environment=environment)
        again.finish()
