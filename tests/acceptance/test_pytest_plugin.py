"""The fixture `tidemill` in somebody's own tests: a server of their own, gone without trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import DEADLINE_S, clean_environment, until

WORK = """
import time
import tidemill as tm

@tm.job
def double(number: int) -> int:
    return 2 * number

@tm.job
def last(seconds: float) -> None:
    time.sleep(seconds)
"""
USES = """
import os, sys
import boto3
from tidemill.sdk import client
from work import double, last

def test_jobs_run_on_it(tidemill):
    assert double.submit(21).result() == 42
    assert boto3.client("batch").meta.endpoint_url == tidemill.endpoint
    assert os.environ["AWS_ACCESS_KEY_ID"] == tidemill.access_key_id
    left.append(last.submit(600))

left = []

def test_what_a_test_leaves_is_ended(tidemill):
    assert left[0].wait(timeout=30) == "FAILED"
    assert "test has ended" in left[0].why

def test_another_knows_nothing_of_it(tidemill_server):
    assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert boto3.client("batch").meta.endpoint_url == "http://127.0.0.1:9"
    assert client.current().client("batch").meta.endpoint_url == "http://127.0.0.1:9"
"""
IDLES = """
import sys

def test_it_costs_nothing():
    for name in ("boto3", "botocore", "tidemill.sdk"):
        assert name not in before, name

from conftest import before
"""
WAITS = """
import os, pathlib, pytest
from work import last

@pytest.mark.parametrize("number", [1, 2])
def test_it_waits(tidemill, number):
    run = last.submit(600)
    while run.status != "RUNNING":
        pass
    pathlib.Path(f"waits-{number}").touch()
    run.result()
"""


class Project:
    """Somebody's project: its tests, and the only folder for its temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.temporary = folder / "temporary"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.write("work.py", WORK)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """Its pytest, in a process group of its own as a shell would have it."""
        environment = clean_environment(
            self.folder,
            TMPDIR=str(self.temporary),
            AWS_ENDPOINT_URL="http://127.0.0.1:9",
            AWS_DEFAULT_REGION="eu-west-1",
            AWS_ACCESS_KEY_ID="theirs",
            AWS_SECRET_ACCESS_KEY="theirs",
        )
        plugins = ("-p", "tidemill.pytest_plugin", "-p", "no:cacheprovider")
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", *plugins, *options],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def leaves_nothing(self) -> bool:
        """Whether there is no file of a server, and no process that knows one."""
        if [path for path in self.temporary.iterdir() if path.name.startswith("tidemill-")]:
            return False
        marker = str(self.temporary).encode()
        return not [pid for pid, command in _commands() if marker in command]


def _commands() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / "cmdline").read_bytes()
            except OSError:
                continue


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_test_has_a_server_of_its_own(project: Project) -> None:
    project.write("test_uses.py", USES)
    with project.begin() as done:
        said, _ = done.communicate(timeout=DEADLINE_S)
    assert "3 passed" in said, said
    assert project.leaves_nothing()


def test_it_costs_nothing_where_it_is_not_used(project: Project) -> None:
    project.write("conftest.py", "import sys; before = set(sys.modules)")
    project.write("test_idles.py", IDLES)
    with project.begin("-p", "no:xdist", "-p", "no:hypothesispytest") as done:
        said, _ = done.communicate(timeout=DEADLINE_S)
    assert "1 passed" in said, said


@pytest.mark.parametrize(
    ("options", "how"),
    [
        (("-p", "no:xdist"), signal.SIGINT),
        (("-n2",), signal.SIGINT),
        (("-p", "no:xdist"), signal.SIGKILL),
    ],
    ids=["ctrl-c", "ctrl-c with xdist", "killed"],
)
def test_it_goes_with_its_tests(
    project: Project, options: tuple[str, ...], how: signal.Signals
) -> None:
    project.write("test_waits.py", WAITS)
    with project.begin(*options) as tests:
        until((project.folder / "waits-1").exists, "a job of the tests runs")
        os.killpg(tests.pid, how)
        tests.communicate(timeout=DEADLINE_S)
    until(project.leaves_nothing, "server, runner, jobs and folder have gone")
