"""The library on a real server: functions become jobs, and their results come back."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sdk_server import PROJECT, project_server

import tidemill as tm
from tidemill.sdk import client
from tidemill.sdk.local import LocalServer

LONG_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A private server that the library uses from the project's folder."""
    with project_server() as server:
        yield server


@pytest.fixture(scope="module")
def work(server: LocalServer) -> ModuleType:
    """The project's module of jobs."""
    return importlib.import_module("work")


def test_a_call_becomes_a_job_and_its_result_comes_back(work: ModuleType) -> None:
    run = work.report.submit("acme", amounts=[1, 2, 3])
    assert run.result(timeout=LONG_S) == work.Report("acme", 6)
    assert run.status == "SUCCEEDED"
    assert list(run.logs()) == ["adding up for acme"]


def test_a_map_is_one_array_and_keeps_the_order(server: LocalServer, work: ModuleType) -> None:
    mapped = work.square.map(range(10), chunk=3)
    assert mapped.result(timeout=LONG_S) == [item * item for item in range(10)]
    (detail,) = server.client("batch").describe_jobs(jobs=[mapped.id])["jobs"]
    assert detail["arrayProperties"]["size"] == 4
    assert mapped.child(3).result() == [81]


@pytest.mark.parametrize("count", [0, 1])
def test_a_map_may_be_tiny(work: ModuleType, count: int) -> None:
    mapped = work.square.map(range(count))
    total = work.echo.submit(mapped)
    assert mapped.result(timeout=LONG_S) == total.result(timeout=LONG_S) == [0][:count]


def test_a_pipeline_runs_through_maps_to_a_sum(work: ModuleType) -> None:
    reports = work.reports_of.map(["a", "bb", "ccc", "dddd"], chunk=2)
    doubled = work.double.map(reports)
    final = work.summary.submit(doubled, title="total ")
    assert final.result(timeout=LONG_S) == "total 20 of 4"


@pytest.mark.parametrize(
    "value", [None, {"a": [1.5, "é\n"]}, {1: (2, 3)}, b"\0" * 100_000, "x" * 600, Path("a")]
)
def test_values_of_every_kind_and_size_come_back(work: ModuleType, value: Any) -> None:
    assert work.echo.submit(value).result(timeout=LONG_S) == value


def test_a_job_runs_in_the_submitters_project(work: ModuleType) -> None:
    assert work.where.submit().result(timeout=LONG_S) == (
        str(PROJECT),
        sys.executable,
        os.environ["PATH"],
    )


def test_an_exception_is_raised_again_with_its_traceback(work: ModuleType) -> None:
    mapped = work.sell.map(range(10), chunk=4)
    with pytest.raises(work.OutOfStock, match="no item 7") as caught:
        mapped.result(timeout=LONG_S)
    assert isinstance(caught.value.__cause__, tm.RemoteTraceback)
    assert "in sell" in str(caught.value.__cause__)
    assert "item 7" in caught.value.__notes__[0]
    assert "1 of 3 children" in caught.value.__notes__[0]
    assert any("OutOfStock: no item 7" in line for line in mapped.child(1).logs())


def test_what_hangs_on_a_failure_says_so(work: ModuleType) -> None:
    failing = work.sell.submit(7)
    last = work.echo.submit(work.echo.submit(failing))
    with pytest.raises(tm.JobFailed, match="Dependent Job failed") as caught:
        last.result(timeout=LONG_S)
    assert f"; sell (job {failing.id}) raised OutOfStock: no item 7." in str(caught.value)
    assert type(caught.value.__cause__) is work.OutOfStock
    assert "in sell" in str(caught.value.__cause__.__cause__)


def test_what_hangs_on_a_map_names_the_item_that_failed(work: ModuleType) -> None:
    failing = work.sell.map([1, 2, 3, 4, 7, 6], chunk=2)
    along = work.square.map(failing)
    with pytest.raises(tm.JobFailed, match=r"item 4 of sell .*:2. raised OutOfStock: no item 7"):
        work.echo.submit(failing).result(timeout=LONG_S)
    with pytest.raises(tm.JobFailed, match="Dependent Job failed") as caught:
        along.result(timeout=LONG_S)
    assert type(caught.value.__cause__) is work.OutOfStock


def test_what_hangs_on_another_job_or_a_killed_one_says_how_that_ended(
    server: LocalServer, work: ModuleType
) -> None:
    killed = work.killed.submit()
    with pytest.raises(tm.JobFailed, match=f"; killed .job {killed.id}. failed: .*code 137.$"):
        work.echo.submit(killed).result(timeout=LONG_S)
    batch = server.client("batch")
    definition = batch.register_job_definition(
        jobDefinitionName="another",
        type="container",
        containerProperties={
            "image": "any",
            "command": ["false"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "64"},
            ],
        },
    )["jobDefinitionArn"]
    other = batch.submit_job(jobName="others", jobQueue="default", jobDefinition=definition)
    with pytest.raises(tm.JobFailed, match=r"; others .* failed: .*exit code 1.$") as caught:
        work.square.submit(2, depends_on=other["jobId"]).result(timeout=LONG_S)
    assert type(caught.value.__cause__) is tm.JobFailed


def test_a_job_that_was_killed_says_how(work: ModuleType) -> None:
    with pytest.raises(tm.JobFailed, match="exit code 137"):
        work.killed.submit().result(timeout=LONG_S)


def test_a_job_that_leaves_does_not_take_its_submitter_along(work: ModuleType) -> None:
    run = work.leave.submit(3)
    with pytest.raises(tm.TidemillError, match="SystemExit: 3"):
        run.result(timeout=LONG_S)


def test_a_result_that_cannot_be_sent_back_says_so(work: ModuleType) -> None:
    with pytest.raises(TypeError, match="generator returned what can't be sent back"):
        work.generator.submit().result(timeout=LONG_S)


def test_the_last_attempts_result_counts(work: ModuleType, tmp_path: Path) -> None:
    assert work.flaky.submit(str(tmp_path / "tries")).result(timeout=LONG_S) == 3


def test_waiting_has_an_end_and_cancel_ends_the_job(work: ModuleType, tmp_path: Path) -> None:
    run = work.forever.submit(str(tmp_path / "mark"))
    with pytest.raises(TimeoutError, match="is still"):
        run.result(timeout=0.05)
    _until((tmp_path / "mark").exists)
    run.cancel("enough")
    assert run.wait(timeout=LONG_S) == "FAILED"
    assert run.why == "enough"


def test_clients_made_at_import_work_in_jobs(work: ModuleType) -> None:
    clients = importlib.import_module("clients")
    assert clients.account.map([1, 2, 3]).result(timeout=LONG_S) == ["000000000000"] * 3


def test_a_definition_is_reused(server: LocalServer, work: ModuleType) -> None:
    for _ in range(2):
        client.use(server.connection())
        work.noop.submit(1).wait(timeout=LONG_S)
    pages = server.client("batch").describe_job_definitions(jobDefinitionName="work-noop")
    assert [each["revision"] for each in pages["jobDefinitions"]] == [1]


def test_a_job_stays_with_its_server_whatever_its_profile_says(
    work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidemill.profiles.far]\nendpoint = "http://127.0.0.1:9"\nregion = "us-east-1"\n'
        'image = "me/app:1"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDEMILL_PROFILE", "far")
    runs = [work.echo.submit(number) for number in range(2)]
    assert [run.result(timeout=LONG_S) for run in runs] == [0, 1]


def test_a_changed_module_runs_as_it_is_now(server: LocalServer, tmp_path: Path) -> None:
    script = tmp_path / "edited.py"
    text = (
        "import sys\nimport tidemill as tm\n\n@tm.job\ndef answer() -> int:\n    return {0}\n\n"
        "if __name__ == '__main__':\n    print(answer.submit().result(timeout=60))\n"
    )
    said = []
    for number in (1, 22):
        script.write_text(text.format(number))
        said.append(_run_script(server, script))
    assert said == ["1", "22"]


def test_a_script_without_a_guard_is_stopped(server: LocalServer, tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import tidemill as tm\n\n@tm.job\ndef go() -> None: ...\n\n"
        "try:\n    go.submit().result(timeout=60)\nexcept tm.SubmitError as error:\n"
        "    if __name__ != '__main__':\n        raise\n    print(error)\n"
    )
    assert "put what starts the work under" in _run_script(server, script)


def _run_script(server: LocalServer, script: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | server.environment(),
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _until(condition: Any) -> None:
    deadline = time.monotonic() + LONG_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)
