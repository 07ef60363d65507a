"""The command line as a newcomer types it: nothing is configured, a server runs on this machine."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import COMMAND, DEADLINE_S, Shell, run, until

from tidemill.sdk.local import LocalServer, private


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with private() as started:
        yield started


@pytest.fixture
def shell(server: LocalServer, tmp_path: Path) -> Shell:
    return Shell(tmp_path, server.data)


def test_a_command_runs_here_and_is_waited_for(shell: Shell) -> None:
    (shell.home / "script").write_text("#!/bin/sh\necho in $PWD with $*; exit 7\n")
    (shell.home / "script").chmod(0o755)
    job = shell.submit("--name", "mine", "./script", "--its", "own")
    assert "FAILED: exit code 7" in shell("wait", job, code=7)
    assert shell("logs", job) == f"in {shell.home} with --its own\n"
    assert shell("why", job) == "FAILED: exit code 7\n"
    shown = shell("show", job)
    for words in ("mine", "./script --its own", "1 vCPU, 512 MiB", "attempt 1", "exit code 7"):
        assert words in shown
    assert json.loads(shell("show", job, "--json"))["container"]["exitCode"] == 7
    [row] = [line for line in shell("ps", "--all").splitlines() if line.startswith(job)]
    assert row.split("\t")[1:4] == ["mine", "default", "FAILED"]


def test_an_array_is_followed_and_explained(shell: Shell) -> None:
    script = "echo index $AWS_BATCH_JOB_ARRAY_INDEX; test $AWS_BATCH_JOB_ARRAY_INDEX != 1"
    job = shell.submit("--array", "3", "--", "sh", "-c", script)
    followed = shell("logs", "-f", job)
    assert sorted(followed.splitlines()) == ["0: index 0", "1: index 1", "2: index 2"]
    assert "1 of 3 failed" in shell("wait", job, code=1)
    assert f"first {job}:1: exit code 1" in shell("why", job)
    assert "3: 2 SUCCEEDED, 1 FAILED" in shell("show", job)
    assert shell("logs", f"{job}:2") == "index 2\n"


def test_every_attempt_is_followed(shell: Shell) -> None:
    script = "echo try $AWS_BATCH_JOB_ATTEMPT; exit 5"
    job = shell.submit("--attempts", "2", "--", "sh", "-c", script)
    assert shell("logs", "-f", job) == "try 1\ntry 2\n"
    assert shell("logs", "--attempt", "1", job) == "try 1\n"
    assert "no --attempt 3" in shell.refused("logs", "--attempt", "3", job)
    told = [json.loads(line)["message"] for line in shell("logs", "--json", job).splitlines()]
    assert told == ["try 1", "try 2"]


def test_a_job_that_waits_says_for_what(shell: Shell) -> None:
    gate = shell.home / "gate"
    first = shell.submit("--name", "first", "--", "sh", "-c", f"until [ -e {gate} ]; do :; done")
    then = shell.submit("--after", first, "--", "echo", "done")
    until(lambda: "RUNNING" in shell("why", first), "the first job runs")
    why = shell("why", then)
    assert why.startswith("PENDING: ")
    assert f"[ ] dependency: {first} (first) must succeed: RUNNING, it has run for" in why
    assert "[x] queue: `default` is ENABLED, of priority 1" in why
    [awaited] = json.loads(shell("why", then, "--json"))["waitsFor"]
    assert (awaited["jobId"], awaited["status"]) == (first, "RUNNING")
    assert then in shell("ps")
    assert "has not started (PENDING" in shell.noted("logs", then)
    assert "is still" in shell.noted("wait", "--timeout", "0.1", then, code=124)
    gate.touch()
    assert shell("logs", "-f", then) == "done\n"
    assert shell("wait", first, then).count("SUCCEEDED") == 2


def test_a_job_that_can_never_run_is_told_at_once(shell: Shell) -> None:
    done = run("submit", "--vcpus", "999", "--", "true", environment=shell.environment)
    job = done.stdout.strip()
    assert done.returncode == 0
    assert "needs 999 vCPU" in done.stderr
    assert f"tidemill cancel {job}" in done.stderr
    shell("cancel", job)
    assert "Cancelled on the command line" in shell("wait", job, code=1)
    assert "had ended already" in shell.noted("kill", job)


def test_what_runs_is_killed_but_not_cancelled(shell: Shell) -> None:
    job = shell.submit("--", "sh", "-c", "echo begun; exec sleep 1000")
    until(lambda: shell("logs", job) == "begun\n", "the job runs")
    assert "tidemill kill" in shell.noted("cancel", job, code=1)
    assert "RUNNING" in shell("why", job)
    shell("kill", "--reason", "enough of it", job)
    assert "enough of it" in shell("wait", job, code=143)


def test_a_program_that_is_not_there(shell: Shell) -> None:
    job = shell.submit("--", "no-such-program")
    assert "`no-such-program` was not found" in shell("wait", job, code=1)
    assert "printed nothing" in shell.noted("logs", job)


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["show", "nonsense"], ["'nonsense'", "tidemill ps --all"], 1),
        (["submit", "--after", "nonsense", "--", "true"], ["nonsense"], 1),
        (["submit", "--queue", "nowhere", "--", "true"], ["nowhere"], 1),
        (["submit", "--array", "20000", "--", "true"], ["20000", "10000"], 1),
        (["backup", "/proc/nowhere"], ["/proc/nowhere"], 1),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], words: list[str], code: int, shell: Shell
) -> None:
    said = shell.refused(*arguments, code=code)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    "arguments", [["submit"], ["submit", "--env", "X", "true"], ["nonsense"], ["wait"]]
)
def test_a_wrong_command_line_exits_with_two(arguments: list[str], shell: Shell) -> None:
    assert "Usage: " in shell.noted(*arguments, code=2)


def test_the_profile_is_what_aws_clients_need(server: LocalServer, shell: Shell) -> None:
    assert server.endpoint in shell("config")
    noted = shell.noted("config", "--write")
    assert shell.environment["AWS_CONFIG_FILE"] in noted
    assert Path(shell.environment["AWS_SHARED_CREDENTIALS_FILE"]).stat().st_mode & 0o077 == 0
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    done = subprocess.run(
        [COMMAND[0], "-c", script],
        env={**shell.environment, "AWS_PROFILE": "tidemill"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.stdout == "000000000000\n", done.stderr
    # The command line goes by the profile now: one that is out of date is told from no server.
    assert shell("ps") == ""
    config = Path(shell.environment["AWS_CONFIG_FILE"])
    config.write_text(config.read_text().replace(server.endpoint, "http://127.0.0.1:9"))
    said = shell.refused("ps")
    assert "http://127.0.0.1:9" in said
    assert server.endpoint in said
    assert "config --write" in said


def test_without_a_server(tmp_path: Path) -> None:
    nobody = Shell(tmp_path, tmp_path / "nothing")
    for arguments in (["ps"], ["submit", "--", "true"], ["stop"], ["config"]):
        said = nobody.refused(*arguments)
        assert "No server runs" in said
        assert "tidemill serve" in said
    assert not (tmp_path / "nothing").exists(), "asking makes no data folder"


def test_settings_of_the_environment_win(server: LocalServer, tmp_path: Path) -> None:
    nobody = Shell(tmp_path, tmp_path / "nothing")
    nobody.environment |= server.environment()
    assert json.loads(nobody("ps", "--json")) == []
    nobody.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    assert "AWS_ENDPOINT_URL" in nobody.refused("ps")
    nobody.environment["AWS_ENDPOINT_URL"] = server.endpoint
    nobody.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    assert "signature" in nobody.refused("ps")
    nobody.environment |= {"AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}
    said = nobody.refused("ps")
    assert "eu-west-1" in said
    assert "us-east-1" in said


def test_a_table_is_as_wide_as_the_terminal(shell: Shell) -> None:
    job = shell.submit("--vcpus", "999", "--", "true")
    try:
        lines = on_terminal(shell, "ps", width=110)
    finally:
        shell("cancel", job)
    assert lines[0].split() == ["ID", "NAME", "QUEUE", "STATUS", "AGE", "WHY"]
    [row] = [line for line in lines if job in line]
    assert len(row) == 110, "the reason is cut where the terminal ends"
    assert row.endswith("…")


def on_terminal(shell: Shell, *arguments: str, width: int) -> list[str]:
    """The lines that a command prints on a terminal, without their colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=shell.environment, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # the other end has gone
        pass
    os.close(ours)
    assert process.wait(DEADLINE_S) == 0, said
    return [_plain(line) for line in said.decode().splitlines()]


def _plain(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_boto3_is_no_part_of_the_help(shell: Shell) -> None:
    script = (
        "import sys; from tidemill.cli.main import group\n"
        "group(['--help'], standalone_mode=False)\n"
        "assert not {'boto3', 'uvicorn', 'rich', 'apsw'} & set(sys.modules), 'help must be quick'"
    )
    subprocess.run([COMMAND[0], "-c", script], check=True, env=shell.environment)
