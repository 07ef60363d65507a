"""What a job does inside: it keeps its place, says how far it is, is warned, sends files."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sdk_server import project_server

import tidemill as tm
from tidemill.sdk import report
from tidemill.sdk.local import LocalServer

LONG_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    """A private server that the library uses from the project's folder."""
    with project_server("--limits", "lifted") as server:
        yield server


@pytest.fixture(scope="module")
def inside(server: LocalServer) -> ModuleType:
    """The project's module of jobs."""
    return importlib.import_module("inside")


def detail(server: LocalServer, run: tm.Run[Any] | tm.MapRun[Any]) -> dict[str, Any]:
    """The job as DescribeJobs tells it."""
    (found,) = server.client("batch").describe_jobs(jobs=[run.id])["jobs"]
    return dict(found)


def exit_codes(server: LocalServer, run: tm.Run[Any]) -> list[int]:
    """Those of all its attempts, in order."""
    return [each["container"]["exitCode"] for each in detail(server, run)["attempts"]]


def run_url(server: LocalServer, run: tm.Run[Any] | tm.MapRun[Any]) -> str:
    """Under which URL all lies that belongs to it."""
    return str(detail(server, run)["parameters"]["results"]).partition("results/")[0]


def items_of(log: Path) -> list[int]:
    """What a job wrote down, attempt after attempt."""
    return [int(line) for line in log.read_text().split()]


def test_a_killed_loop_goes_on_where_it_was_saved(
    server: LocalServer, inside: ModuleType, tmp_path: Path
) -> None:
    run = inside.killed.submit(str(tmp_path / "log"))
    assert run.result(timeout=LONG_S) == list(range(20, 40))
    assert items_of(tmp_path / "log") == [*range(26), *range(20, 40)]
    assert exit_codes(server, run) == [137, 0]


def test_an_interruption_loses_nothing_and_does_not_count(
    server: LocalServer, inside: ModuleType, tmp_path: Path
) -> None:
    run = inside.interrupted.submit(str(tmp_path / "log"))
    assert run.result(timeout=LONG_S) == list(range(26, 40))
    assert items_of(tmp_path / "log") == list(range(40))
    assert exit_codes(server, run) == [75, 0]


def test_a_cancelled_loop_is_cancelled(
    server: LocalServer, inside: ModuleType, tmp_path: Path
) -> None:
    run = inside.endless.submit(str(tmp_path / "log"))
    _until((tmp_path / "log").exists)
    run.cancel("enough")
    assert run.wait(timeout=LONG_S) == "FAILED"
    assert run.why == "enough"
    assert exit_codes(server, run) == [75]  # it left at the next item, and was not killed


def test_a_job_says_how_far_it_is(server: LocalServer, inside: ModuleType) -> None:
    run = inside.reporting.map([3, 1_000_000])
    assert run.result(timeout=LONG_S) == [3, 1_000_000]
    found = report.read(server.connection(), run_url(server, run))
    assert {place: (told.done, told.note) for place, told in found.items()} == {
        0: (3, "counted"),
        1: (1_000_000, "counted"),
    }
    assert report.read(server.connection(), run_url(server, run), 1) == {1: found[1]}


def test_a_job_is_warned_before_its_end(inside: ModuleType) -> None:
    heedless = inside.heedless.submit()
    told = inside.warned.submit().result(timeout=LONG_S)
    assert told == "The soft time limit of 1 s has passed."
    with pytest.raises(tm.SoftTimeout, match="of 1 s"):
        heedless.result(timeout=LONG_S)


@pytest.mark.parametrize(("kind", "attempts"), [("connection", 3), ("value", 1)])
def test_only_what_retry_on_names_is_tried_again(
    inside: ModuleType, tmp_path: Path, kind: str, attempts: int
) -> None:
    with pytest.raises((ConnectionResetError, ValueError), match="as ever"):
        inside.flaky.submit(str(tmp_path / "log"), kind).result(timeout=LONG_S)
    assert len((tmp_path / "log").read_text().splitlines()) == attempts


def test_large_items_go_by_way_of_s3(inside: ModuleType) -> None:
    sizes = [5 << 20, 6 << 20]
    assert inside.length.map("x" * size for size in sizes).result(timeout=LONG_S) == sizes


def test_a_job_knows_which_it_is(server: LocalServer, inside: ModuleType) -> None:
    mapped = inside.told.options(tenant="acme", timeout=3600).submit_many([(), ()])
    found = mapped.result(timeout=LONG_S)
    assert [told.job_id for told in found] == [f"{mapped.id}:0", f"{mapped.id}:1"]
    assert [(told.attempt, told.index, told.tenant) for told in found] == [
        (1, 0, "acme"),
        (1, 1, "acme"),
    ]
    assert found[0].run_url == run_url(server, mapped)
    left_s = (found[0].deadline - datetime.now(UTC)).total_seconds()
    assert 3600 - LONG_S < left_s <= 3600
    assert not tm.context().is_job


def test_tenants_share_a_warm_interpreter(inside: ModuleType) -> None:
    runs = [
        inside.parent.options(tenant=tenant, timeout=timeout).submit()
        for tenant, timeout in (("acme", 100), ("zoo", 100), ("zoo", 200))
    ]
    assert len({run.result(timeout=LONG_S) for run in runs}) == 1


def test_files_go_from_job_to_job_and_home(server: LocalServer, inside: ModuleType) -> None:
    fetched = inside.fetch.map(["a", "b"])
    reports = inside.bind.map(fetched)
    assert inside.shelve.submit(reports).result(timeout=LONG_S) == "a0+a1+a2 b0+b1+b2"
    first, second = reports.result()
    assert (first.name, first.page.name, first.page.read_text()) == ("a-0", "book.txt", "a0+a1+a2")
    assert [path.read_text() for path in second.sources] == ["b0", "b1", "b2"]
    assert len({path.parent for path in second.sources}) == 3  # each under its own name


def test_open_files_come_home_open(inside: ModuleType) -> None:
    found = inside.leave_open.submit().result(timeout=LONG_S)
    with found["lost"] as lost, found["named"] as named:
        assert len(lost.read()) == 9 << 20
        assert named.read() == "über"
    assert (found["name"], found["folder"]) == (Path("nothing"), Path("/"))


def test_copies_go_with_the_process(server: LocalServer, tmp_path: Path) -> None:
    code = (
        "import inside\n"
        "paths = inside.fetch.submit('x').result(timeout=60)\n"
        "print(paths[0].read_text(), *paths)"
    )
    environment = os.environ | server.environment() | {"TMPDIR": str(tmp_path)}
    done = _python(code, environment)
    text, *paths = done.split()
    assert text == "x0"
    assert all(path.startswith(str(tmp_path)) for path in paths)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_opened_where_it_lies(server: LocalServer, inside: ModuleType) -> None:
    server.client("s3").create_bucket(Bucket="lines")
    log = tm.File("s3://lines/logs/a b.txt")
    first = inside.append.submit(log, "one")
    assert inside.append.submit(first, "two").result(timeout=LONG_S) == log
    assert list(log) == ["one\n", "two\n"]
    assert log.read_bytes(4, 100) == log.read_bytes(4) == b"two\n"
    with log.open() as lines:
        lines.seek(-4, os.SEEK_END)
        assert (lines.read(3), lines.read(), lines.read()) == (b"two", b"\n", b"")


def test_a_file_is_written_as_a_whole_or_not_at_all(server: LocalServer, tmp_path: Path) -> None:
    server.client("s3").create_bucket(Bucket="whole")
    large = tm.File("s3://whole/large")
    with large.open("wb") as out:
        for _ in range(10):
            out.write(b"\1" * (1 << 20))
        assert not large.exists()
    assert large.size == 10 << 20
    assert large.download(tmp_path) == tmp_path / "large"
    assert large.upload(tmp_path / "large").size == (tmp_path / "large").stat().st_size
    for mode in ("w", "wb"):
        _given_up(large, mode)
    assert large.size == 10 << 20
    with large.open() as old:
        old.read(10)
        large.write_text("new")
        with pytest.raises(Exception, match="PreconditionFailed"):
            old.read()
    with pytest.raises(FileNotFoundError, match="s3://whole/none"):
        tm.File("s3://whole/none").open("r")
    with pytest.raises(FileNotFoundError, match="s3://nowhere/none"):
        tm.File("s3://nowhere/none").write_text("")


def _given_up(file: tm.File, mode: Any) -> None:
    with pytest.raises(ZeroDivisionError), file.open(mode) as out:
        out.write("x" if mode == "w" else b"x")
        raise ZeroDivisionError
    out = file.open(mode)
    out.write("x" if mode == "w" else b"x")
    del out  # nobody closed it


def _python(code: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.01)  # polls
