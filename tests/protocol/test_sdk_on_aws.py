"""The library against another implementation of AWS's APIs: it makes the calls that AWS takes.

moto runs no jobs and says SUCCEEDED of each at once, so the test does what each job would do: it
calls the worker, in this process, with the arguments and the environment that AWS would give it.
The same scenario runs on a server of ours, where jobs run by themselves.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aws_call
import pytest
from click.testing import CliRunner

import tidemill as tm
from tidemill.cli import examine
from tidemill.cli.finding import Finding, State
from tidemill.cli.submit import submit
from tidemill.sdk import client, project, worker
from tidemill.sdk.client import Connection
from tidemill.sdk.local import local

LONG_S = 60.0
IMAGE = f"{aws_call.ACCOUNT}.dkr.ecr.{aws_call.REGION}.amazonaws.com/team/app:1"
PYPROJECT = f"""
[tool.tidemill.profiles.aws]
image = "{IMAGE}"
job_role = "arn:aws:iam::{aws_call.ACCOUNT}:role/app"
"""
WORK = '''
"""Jobs of a team that goes to AWS."""

import tempfile
from pathlib import Path

import tidemill as tm


@tm.job(attempts=2, timeout="10m")
def double(number: int) -> int:
    print("doubling", number)
    return 2 * number


@tm.job
def add(numbers: list[int]) -> int:
    return sum(numbers)


@tm.job
def size(data: bytes) -> bytes:
    return data[::-1]


@tm.job
def fail(reason: str) -> None:
    raise LookupError(reason)


@tm.job(timeout=5)
def hasty() -> None: ...


@tm.job(retry_on=ConnectionError, attempts=3, backoff=2, timeout="10m", concurrency=2)
def careful(number: int) -> int:
    if number == 3:
        raise LookupError("no three")
    tm.progress(number, 10)
    return sum(tm.checkpoint([number], every=1))


@tm.job(keep="30d")
def film(megabytes: int) -> Path:
    path = Path(tempfile.mkdtemp()) / "film"
    path.write_bytes(bytes(megabytes << 20))
    return path
'''

Finish = Callable[[Any], None]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The team's module, in a project of its own that is the current folder."""
    folder, before = tmp_path_factory.mktemp("team"), Path.cwd()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "team_work.py").write_text(WORK)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("team_work")
    sys.path.remove(str(folder))
    os.chdir(before)


class Aws:
    """moto as AWS: a connection, what was called through it, and somebody who does its jobs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aws_call.session_on(url)
        self.submitted, self.worked = aws_call.Record(), aws_call.Record()
        self._record = aws_call.Switch(self.session, self.submitted)
        self.connection = Connection(self.session)
        self.look = aws_call.session_on(url).client("batch")
        """For the test's own questions, which are not recorded."""

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as DescribeJobs has it."""
        [job] = self.look.describe_jobs(jobs=[job_id])["jobs"]
        return dict(job)

    def finish(self, run: Any) -> None:
        """Do what the job, or each child, would do in its container."""
        job = self.job(run.id)
        size = job.get("arrayProperties", {}).get("size", 1)
        command = job["container"]["command"]
        given = {f"Ref::{name}": value for name, value in job["parameters"].items()}
        argv = [given.get(word, word) for word in command[3:]]
        assert command[:3] == ["python3", "-m", "tidemill.sdk.worker"]
        with self._record.to(self.worked), pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_BATCH_JOB_ID", run.id)
            for index in range(size):
                patch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", str(index))
                if worker.main(argv):
                    aws_call.fail(run.id, index)


@pytest.fixture(scope="module")
def aws(work: ModuleType) -> Iterator[Aws]:
    """AWS, as far as moto goes, with a queue and a compute environment; the library uses it."""
    with aws_call.moto() as url:
        aws_call.furnish(Connection(aws_call.session_on(url)))
        aws = Aws(url)
        before, chosen = client.use(aws.connection), project.choose("aws")
        yield aws
        client.use(before)
        project.choose(chosen)
        aws.look.close()


def scenario(work: ModuleType, finish: Finish) -> None:
    """A bit of everything, with the results that it must have."""
    one = work.double.submit(21)
    finish(one)
    assert one.result(timeout=LONG_S) == 42
    assert one.status == "SUCCEEDED"
    list(one.logs())
    doubled = work.double.map(range(5), chunk=2)
    finish(doubled)
    again = work.double.map(doubled)
    finish(again)
    total = work.add.submit(again)
    finish(total)
    assert total.result(timeout=LONG_S) == 40
    large = work.size.submit(bytes(range(250)) * 400)
    finish(large)
    assert large.result(timeout=LONG_S)[:2] == b"\xf9\xf8"
    failed = work.fail.submit("nothing there")
    finish(failed)
    with pytest.raises(LookupError, match="nothing there"):
        failed.result(timeout=LONG_S)
    failed.cancel()
    options(work, finish)
    films(work, finish)


def options(work: ModuleType, finish: Finish) -> None:
    """What a call may be given, and what may be asked of a map."""
    changed = {"vcpus": 2, "memory": "1GiB", "timeout": "5m", "attempts": 2}
    run = work.careful.submit(1, tenant="acme", priority=3, tags={"team": "a"}, **changed)
    finish(run)
    assert run.result(timeout=LONG_S) == 1
    assert tm.run(run.id).result(timeout=LONG_S) == 1
    twice = [work.double.submit(5, key=f"five {os.getpid()}") for _ in range(2)]
    finish(twice[0])
    assert twice[0].id == twice[1].id
    many = work.careful.submit_many(
        [(2,), (3,)], depends_on=run, environment={"A": "b"}, concurrency=5
    )
    finish(many)
    with pytest.raises(LookupError, match="no three"):
        many.result(timeout=LONG_S)
    assert [each.index for each in many.as_completed(timeout=LONG_S)] in ([0, 1], [1, 0])
    many.failures()
    _ = (many.progress, run.progress)
    auto = work.double.map([1, 2], chunk="auto")
    finish(auto)
    assert auto.result(timeout=LONG_S) == [2, 4]


def films(work: ModuleType, finish: Finish) -> None:
    """A result that is a file too large for one request."""
    run = work.film.submit(9)
    finish(run)
    assert run.result(timeout=LONG_S).stat().st_size == 9 << 20
    assert not tm.File("s3://tidemill-nowhere-at-all/film").exists()


def test_everything_works_beside_our_own_server(aws: Aws, work: ModuleType) -> None:
    assert aws.connection.is_aws
    scenario(work, aws.finish)


def test_the_guide_lists_what_is_called_by_whom(aws: Aws, work: ModuleType) -> None:
    made = aws_call.Record()
    with local() as server:
        before, chosen = client.use(server.connection()), project.choose(None)
        aws_call.Switch(server.session, made)
        try:
            again(work)
        finally:
            client.use(before)
            project.choose(chosen)
    made.add(aws.submitted)
    assert _differs(aws_call.table(aws_call.SUBMITTER), made) == {}
    assert _differs(aws_call.table(aws_call.JOB), aws.worked) == {}


def again(work: ModuleType) -> None:
    """What only a server shows whose jobs take their time: failures done again, waits, delays."""
    failing = work.careful.map([2, 3], delay=1, concurrency=3)
    with pytest.raises(LookupError, match="no three"):
        failing.result(timeout=LONG_S)
    assert [failure.index for failure in failing.failures()] == [1]
    assert list(failing.logs())
    failing.retry()
    assert failing.wait(timeout=LONG_S) == "FAILED"
    failing.cancel()


UNTRIED = {
    "s3 AbortMultipartUpload": {"Bucket", "Key", "UploadId"},  # only after an upload that failed
}
"""Calls that nothing here can bring about."""


def _differs(listed: dict[str, set[str]], record: aws_call.Record) -> dict[str, Any]:
    """The calls whose listed parameters are not those that were given."""
    made = record.made
    return {
        call: {"listed": listed.get(call), "made": made.get(call)}
        for call in sorted(listed.keys() | made.keys())
        if listed.get(call) != made.get(call, UNTRIED.get(call))
    }


def test_a_job_is_told_all_that_a_container_needs(aws: Aws, work: ModuleType) -> None:
    job = aws.job(work.double.submit(1).id)
    [definition] = aws.look.describe_job_definitions(jobDefinitions=[job["jobDefinition"]])[
        "jobDefinitions"
    ]
    container = definition["containerProperties"]
    assert container["image"] == IMAGE
    assert container["jobRoleArn"].endswith(":role/app")
    assert definition["platformCapabilities"] == ["EC2"]
    assert definition["retryStrategy"]["attempts"] == 2
    given = {pair["name"]: pair["value"] for pair in job["container"]["environment"]}
    assert given["TIDEMILL_PROFILE"] == "aws"
    assert given["AWS_DEFAULT_REGION"] == aws_call.REGION
    assert "PYTHONPATH" not in given


def test_a_definition_is_found_again_by_another_process(aws: Aws, work: ModuleType) -> None:
    before = aws.job(work.double.submit(1).id)["jobDefinition"]
    aws.connection.definitions.clear()
    assert aws.job(work.double.submit(1).id)["jobDefinition"] == before


def test_what_aws_would_refuse_is_refused_before_it_is_asked(aws: Aws, work: ModuleType) -> None:
    with pytest.raises(tm.SubmitError, match="hasty has timeout=5 s"):
        work.hasty.submit()
    project.choose(None)
    try:
        with pytest.raises(tm.SubmitError, match="On AWS a job needs a container image"):
            work.double.submit(1)
    finally:
        project.choose("aws")


def found(*modules: str) -> dict[str, Finding]:
    """What the doctor says, by what it says it of."""
    return {each.check: each for each in examine.findings(modules)}


@pytest.fixture
def as_a_user(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment, as the command looks for them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")


def test_the_doctor_finds_what_aws_needs(aws: Aws, work: ModuleType, as_a_user: None) -> None:
    seen = found("team_work")
    told = {check: each.told for check, each in seen.items()}
    assert told["server"] == f"calls go to AWS in {aws_call.REGION}"
    assert aws_call.ACCOUNT in told["credentials"]
    assert told["clock"] == "as the server's"
    assert told["environment"] == "team is ENABLED and VALID"
    assert told["job role"].endswith(":role/app")
    assert told["code"] == "7 jobs: double, add, size, fail, hasty, careful, film"
    assert {check for check, each in seen.items() if each.state is State.WRONG} == {"image"}
    assert seen["image"].told == f"{IMAGE} is not in ECR"
    assert seen["execution role"].state is State.NOTE
    assert seen["permission"].state is State.UNCHECKED


def test_the_doctor_says_what_fargate_lacks(
    aws: Aws, work: ModuleType, as_a_user: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidemill.profiles.aws]\nplatform = "fargate"\nqueue = "nix"\nbucket = "nix-at-all"\n'
    )
    seen = found()
    wrong = {check for check, each in seen.items() if each.state is State.WRONG}
    assert wrong == {"queue", "image", "execution role", "job role"}
    assert seen["bucket"].told == "nix-at-all is not there yet"


def test_a_command_runs_in_the_projects_image(aws: Aws, work: ModuleType, as_a_user: None) -> None:
    done = CliRunner().invoke(submit, ["--env", "A=b", "--vcpus", "2", "--", "ls", "-l"])
    job = aws.job(done.output.strip())
    [definition] = aws.look.describe_job_definitions(jobDefinitions=[job["jobDefinition"]])[
        "jobDefinitions"
    ]
    assert definition["containerProperties"]["image"] == IMAGE
    assert job["container"]["command"] == ["ls", "-l"]
    given = {pair["name"]: pair["value"] for pair in job["container"]["environment"]}
    assert given["A"] == "b"
    assert "PATH" not in given
