"""Handles on a real server: results as they come, awaited, found again, done again."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sdk_server import project_server

import tidemill as tm
from tidemill.sdk import client, completion
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


def test_a_maps_items_come_as_they_end(work: ModuleType, tmp_path: Path) -> None:
    gates = [str(tmp_path / "first"), str(tmp_path / "second")]
    mapped = work.gated.options(vcpus=0.25, memory=64).map(gates)
    Path(gates[1]).touch()
    ended = mapped.as_completed(timeout=LONG_S)
    early = next(ended)
    assert (early.index, early.result()) == (1, gates[1])
    assert mapped[0].status == "RUNNING"
    Path(gates[0]).touch()
    assert [run.index for run in ended] == [0]
    assert list(mapped) == gates


def test_results_are_listed_for_a_share_of_the_time(
    work: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = [tmp_path / name for name in "abc"]
    mapped = work.gated.options(vcpus=0.25, memory=64).map(map(str, gates))
    gates[0].touch()
    mapped[0].wait(timeout=LONG_S)
    monkeypatch.setattr(completion, "LISTING_SHARE", 1e-6)
    ended = mapped.as_completed(timeout=1)
    assert next(ended).index == 0
    gates[1].touch()
    mapped[1].wait(timeout=LONG_S)
    with pytest.raises(TimeoutError, match="2 have not ended"):
        next(ended)  # the second was not listed: a listing had just been
    ended = mapped.as_completed(timeout=LONG_S)
    assert [next(ended).index, next(ended).index] == [0, 1]
    gates[2].touch()
    assert next(ended).index == 2  # the last listing waits for nothing


def test_what_failed_comes_among_the_rest(work: ModuleType) -> None:
    mapped = work.sell.map(range(4, 9), chunk=2)
    found = {run.index: run.exception() for run in mapped.as_completed(timeout=LONG_S)}
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert {index for index, error in found.items() if error} == {2, 3}
    assert isinstance(found[3], work.OutOfStock)
    with pytest.raises(tm.JobFailed, match="item 3 of the same chunk raised OutOfStock: no item 7"):
        mapped[2].result()
    assert mapped[-1].result() == 8
    with pytest.raises(work.OutOfStock):
        list(mapped)


def test_runs_come_in_the_order_in_which_they_end(work: ModuleType, tmp_path: Path) -> None:
    slow = work.gated.submit(str(tmp_path / "gate"))
    quick = work.square.submit(3)
    order = tm.as_completed([slow, quick], timeout=LONG_S)
    assert next(order) is quick
    with pytest.raises(TimeoutError, match="1 have not ended after"):
        next(tm.as_completed([slow], timeout=0.01))
    (tmp_path / "gate").touch()
    assert next(order) is slow


def test_many_runs_are_asked_for_at_once(work: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = work.tenth.options(vcpus=0.1, environment={"FIXED": "/nowhere"}).map(range(110))
    calls: list[int] = []
    sender = client.current().sender
    describe = sender.describe_jobs

    def counted(job_ids: Sequence[str]) -> list[dict[str, Any]]:
        calls.append(len(job_ids))
        return describe(job_ids)

    assert mapped.wait(timeout=LONG_S) == "FAILED"
    monkeypatch.setattr(sender, "describe_jobs", counted)
    ended = [*tm.as_completed([*mapped[:], mapped], timeout=LONG_S)]
    assert ended[-1] is mapped
    assert [run.index for run in ended[:-1]] == [*range(110)]
    assert calls == [100, 11]


@pytest.mark.parametrize("wrong", [5, [5], ["a", "b"]])
def test_what_cannot_end_is_refused_at_the_call(work: ModuleType, wrong: Any) -> None:
    with pytest.raises(TypeError, match="give it a list of the runs and maps"):
        tm.as_completed(wrong)
    with pytest.raises(TypeError, match="take one map's items by its own"):
        tm.as_completed(work.square.map([]))


def test_await_leaves_the_loop_to_others(work: ModuleType, tmp_path: Path) -> None:
    async def main() -> tuple[Any, int]:
        turns = 0

        async def count() -> None:
            nonlocal turns
            for turns in itertools.count():
                if turns == 20:
                    (tmp_path / "gate").touch()
                await asyncio.sleep(0.001)

        counting = asyncio.create_task(count())
        found = await work.gated.submit(str(tmp_path / "gate"))
        counting.cancel()
        return found, turns

    found, turns = asyncio.run(main())
    assert found == str(tmp_path / "gate")
    assert turns >= 20  # else it would wait for ever


def test_another_process_finds_a_run_by_its_id(
    server: LocalServer, work: ModuleType, tmp_path: Path
) -> None:
    run, mapped = work.report.submit("acme", [1, 2]), work.reports_of.map(["a", "bb"], chunk=2)
    asked = (
        "import sys, tidemill as tm\n"
        "run, mapped = map(tm.run, sys.argv[1:])\n"
        "print(run.result(timeout=60), mapped.result(timeout=60), len(mapped), mapped.children)\n"
    )
    ids = [run.id, mapped.id]
    environment = os.environ | server.environment()
    answer = subprocess.run(
        [sys.executable, "-c", asked, *ids], env=environment, capture_output=True, text=True
    )
    assert answer.stdout == (
        "Report(tenant='acme', total=3) "
        "[Report(tenant='a', total=1), Report(tenant='bb', total=2)] 2 1\n"
    ), answer.stderr
    with pytest.raises(tm.TidemillError, match="There is no job 1234"):
        tm.run("1234")


def test_a_child_is_found_by_its_id_too(work: ModuleType) -> None:
    mapped = work.square.map([3, 4])
    assert tm.run(f"{mapped.id}:1").result(timeout=LONG_S) == [16]


def test_what_the_library_did_not_submit_has_no_handle(server: LocalServer) -> None:
    batch = server.client("batch")
    batch.register_job_definition(
        jobDefinitionName="plain",
        type="container",
        containerProperties={
            "image": "host",
            "command": ["true"],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "64"},
            ],
        },
    )
    job = batch.submit_job(jobName="plain", jobQueue="default", jobDefinition="plain")
    with pytest.raises(tm.TidemillError, match="was not submitted by the Python library"):
        tm.run(job["jobId"])


def test_attempts_tell_when_and_how_each_ended(work: ModuleType, tmp_path: Path) -> None:
    run = work.flaky.submit(str(tmp_path / "tries"))
    run.wait(timeout=LONG_S)
    assert [attempt.exit_code for attempt in run.attempts] == [1, 1, 0]
    assert all(attempt.took and attempt.took > timedelta() for attempt in run.attempts)
    assert len({attempt.log_stream for attempt in run.attempts}) == 3


def test_logs_are_followed_to_the_end(work: ModuleType, tmp_path: Path) -> None:
    run = work.gated.submit(str(tmp_path / "gate"))
    lines = run.logs(follow=True)
    assert next(lines) == "waiting"
    (tmp_path / "gate").touch()
    assert list(lines) == ["through"]


def test_progress_is_told_to_whoever_asks(work: ModuleType) -> None:
    seen: list[tm.Progress] = []
    mapped = work.square.map(range(6), chunk=2)
    assert mapped.wait(timeout=LONG_S, on_progress=seen.append) == "SUCCEEDED"
    assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (6, 6, 0)
    assert len(seen) == len({(each.status, each.done, each.why) for each in seen})
    run = work.told.submit(5)
    run.wait(timeout=LONG_S)
    assert (run.progress.done, run.progress.total, run.progress.note) == (5, 5, "step 5")
    assert mapped.progress.share == 1.0


def test_retry_does_again_what_failed_and_what_hangs_on_it(
    work: ModuleType, tmp_path: Path
) -> None:
    fixed = tmp_path / "fixed"
    first = work.tenth.options(environment={"FIXED": str(fixed)}).map(range(6))
    second = work.plus_one.map(first)
    final = work.total.submit(second, more=1000)
    with pytest.raises(tm.JobFailed, match="Dependent Job failed"):
        final.result(timeout=LONG_S)
    assert first.wait(timeout=LONG_S) == "FAILED"
    (failed,) = first.failures()
    assert (failed.index, failed.items, str(failed.error)) == (2, range(2, 3), "no item 2")
    assert [each.index for each in second.failures()] == [2]

    fixed.touch()
    once = first.child(0).attempts
    assert first.retry() is first
    assert final.result(timeout=LONG_S) == 1000 + sum(10 * item + 1 for item in range(6))
    assert first.result() == [10 * item for item in range(6)]
    assert (first.status, second.status, first.failures()) == ("SUCCEEDED", "SUCCEEDED", [])
    assert first.child(0).attempts == once  # what had succeeded was left alone
    assert [each.exit_code for each in first.child(2).attempts] == [1, 0]
    assert tm.run(second.id).result() == second.result()
    assert tm.run(first.child(2).id).id == first.id  # the job that did it again is of the map


def test_retry_begins_where_the_failure_did(work: ModuleType, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    first = work.tenth.options(environment={"FIXED": str(fixed)}).submit(2)
    second = work.plus_one.submit(first)
    assert second.wait(timeout=LONG_S) == "FAILED"
    second.retry()
    assert first.wait(timeout=LONG_S) == second.wait(timeout=LONG_S) == "FAILED"
    fixed.touch()
    second.retry()  # a second time, from the other end
    assert second.result(timeout=LONG_S) == 21
    assert [each.exit_code for each in first.attempts] == [1, 1, 0]


def test_retry_waits_for_what_is_under_way(work: ModuleType, tmp_path: Path) -> None:
    run = work.gated.submit(str(tmp_path / "gate"))
    with pytest.raises(tm.TidemillError, match=r"wait\(\) for it, or cancel\(\) it, before you"):
        run.retry()
    (tmp_path / "gate").touch()
    run.wait(timeout=LONG_S)
    assert run.retry().status == "SUCCEEDED"


def test_this_machines_server_is_found_where_nothing_names_another(
    server: LocalServer, work: ModuleType, tmp_path: Path
) -> None:
    program = "import work; print(work.square.submit(4).result(timeout=60))"
    bare = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def answer(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program],
            env=bare | environment,
            capture_output=True,
            text=True,
        )

    assert answer(TIDEMILL_DATA=str(server.data)).stdout == "16\n"
    assert (
        answer()
        .stderr.splitlines()[-1]
        .startswith("tidemill.sdk.error.TidemillError: Nothing says where jobs should run")
    )
    said = answer(AWS_ENDPOINT_URL=server.endpoint).stderr.splitlines()[-1]
    assert said.endswith("names a server or an account but no region; set AWS_REGION.")


def test_one_item_may_be_done_again_alone(work: ModuleType, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    first = work.tenth.options(environment={"FIXED": str(fixed)}).map(range(7))
    after = work.square.submit(5, depends_on=first)
    assert after.wait(timeout=LONG_S) == "FAILED"
    fixed.touch()
    first[2].retry()
    assert first[2].result(timeout=LONG_S) == 20
    assert [each.index for each in first.failures()] == [6]
    assert after.status == "FAILED"  # it would have failed again
    first.retry()
    assert after.result(timeout=LONG_S) == 25


def test_two_who_retry_at_once_do_it_once(work: ModuleType, tmp_path: Path) -> None:
    fixed = tmp_path / "fixed"
    first = work.tenth.options(environment={"FIXED": str(fixed)}).submit(2)
    assert first.wait(timeout=LONG_S) == "FAILED"
    fixed.touch()
    barrier = threading.Barrier(3)

    def retry(_: int) -> bool:
        run = tm.run(first.id)
        barrier.wait()
        try:
            run.retry()
        except tm.TidemillError:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert any(pool.map(retry, range(3)))
    assert first.result(timeout=LONG_S) == 20
    assert [each.exit_code for each in first.attempts] == [1, 0]
