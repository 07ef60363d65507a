"""Jobs in this process: what comes back, what is refused, and how exceptions come out."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

import tidemill as tm
from tidemill.sdk import client
from tidemill.sdk.client import Connection
from tidemill.sdk.eager import EagerMapRun, EagerRun, _active


@dataclass
class Report:
    tenant: str
    total: int


@tm.job
def double(number: int) -> int:
    print("doubling", number)
    return 2 * number


@tm.job
def report(tenant: str, amounts: list[int]) -> Report:
    amounts.append(0)
    return Report(tenant, sum(amounts))


@tm.job
def divide(number: int, by: int = 0) -> float:
    return number / by


@tm.job
def outer(number: int) -> int:
    print("before")
    inner = double.submit(number)
    print("after", file=sys.stderr)
    return inner.result() + 1


@tm.job
def locked() -> object:
    return threading.Lock()


@pytest.fixture(autouse=True)
def _eager() -> Iterator[None]:
    with tm.eager():
        yield


def test_a_call_is_made_at_once_with_what_a_job_would_receive() -> None:
    amounts = [1, 2]
    run = report.submit("acme", amounts=amounts)
    assert run.result() == Report("acme", 3)
    assert run.result() is not run.result()
    assert amounts == [1, 2], "a job has a copy"
    assert isinstance(run, tm.Run)
    assert (run.status, run.why, run.wait()) == ("SUCCEEDED", "", "SUCCEEDED")
    assert run.exception() is None
    [attempt] = run.attempts
    assert attempt.exit_code == 0
    assert attempt.took is not None


def test_maps_maps_over_maps_and_runs_as_arguments() -> None:
    doubled = double.map([1, 2, 3], chunk=2)
    assert doubled.result() == list(doubled) == [2, 4, 6]
    assert (len(doubled), doubled.children, doubled.child(1).result()) == (3, 2, [6])
    assert [run.result() for run in doubled.as_completed()] == [2, 4, 6]
    assert doubled[2].index == 2
    again = double.map(doubled)
    assert again.result() == [4, 8, 12]
    assert again.grain == (3, 2)
    assert report.submit("acme", again).result() == Report("acme", 24)
    assert double.submit(again[0]).result() == 8
    assert double.map([]).result() == []
    assert again.failures() == []
    assert again.retry() is again
    assert double.submit_many([(5,), ((), {"number": 6})]).result() == [10, 12]


def test_logs_are_kept_and_still_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with tm.eager():
        run = outer.submit(4)
        print("not the job's")
        mapped = double.map([1, 2])
    assert list(run.logs()) == ["before", "after"], "what a job inside printed is that one's"
    assert list(mapped.logs(follow=True)) == ["doubling 1", "doubling 2"]
    assert list(mapped[1].logs()) == ["doubling 2"]
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == ["before", "doubling 4", "not the job's"]
    assert said.err == "after\n"


def test_an_exception_comes_out_where_it_happens() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        divide.submit(1)
    assert raised.traceback[-1].name == "divide", "where pdb's post-mortem begins"
    assert raised.traceback[-1].locals == {"number": 1, "by": 0}
    with pytest.raises(ZeroDivisionError) as raised:
        divide.map([1, 2], chunk=2)
    assert "Raised for item 0." in "".join(traceback.format_exception(raised.value))


def test_what_can_not_travel_is_refused_as_it_would_be() -> None:
    with pytest.raises(tm.SubmitError, match="'number' of double can't be sent"):
        double.submit(threading.Lock())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="locked returned what can't be sent back"):
        locked.submit()
    with pytest.raises(TypeError, match="missing a required argument"):
        double.submit()  # type: ignore[call-overload]
    with pytest.raises(tm.SubmitError, match="defined inside a function"):
        _inner().submit()
    with pytest.raises(tm.SubmitError, match="not a list of runs"):
        double.map([double.submit(1)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="chunk=0"):
        double.map([1], chunk=0)


def _inner() -> Any:
    @tm.job
    def inside() -> None: ...

    return inside


def test_handles_await_and_tell_progress() -> None:
    run, mapped, seen = double.submit(2), double.map([1, 2]), list[float | None]()

    async def both() -> tuple[int, list[int]]:
        return await run, await mapped

    assert asyncio.run(both()) == (4, [2, 4])
    assert mapped.result(on_progress=lambda progress: seen.append(progress.share)) == [2, 4]
    assert seen == [1.0]
    assert (mapped.progress.done, mapped.progress.total) == (2, 2)


def test_a_handle_is_found_by_its_id() -> None:
    run, mapped = double.submit(2), double.map([1, 2])
    assert tm.run(run.id) is run
    assert tm.run(mapped.id) is mapped
    assert tm.run(f"{mapped.id}:1").result() == [4]


def test_handles_outlive_the_block_and_other_threads_are_in_it() -> None:
    made = list[tm.Run[int]]()
    with tm.eager():
        thread = threading.Thread(target=lambda: made.append(double.submit(3)))
        thread.start()
        thread.join()
    assert double.submit(made[0]).result() == 12


def test_a_server_is_not_given_what_it_does_not_know() -> None:
    run, mapped = double.submit(1), double.map([1])
    assert not hasattr(run, "another")
    before = _active[:]
    _active.clear()  # as after the block, where a server takes what is submitted
    session = boto3.session.Session("key", "secret", region_name="us-east-1")
    there = client.use(Connection(session, "http://127.0.0.1:9"))
    try:
        for submit in (lambda: double.submit(run), lambda: double.map(mapped)):
            with pytest.raises(tm.SubmitError, match="no server knows of it; give its result"):
                submit()
    finally:
        client.use(there)
        _active.extend(before)


@pytest.mark.parametrize(("made", "real"), [(EagerRun, tm.Run), (EagerMapRun, tm.MapRun)])
def test_the_handles_have_the_whole_surface(made: type, real: type) -> None:
    """What a real handle does by asking a server, an eager one must do by itself."""
    by_others = {"grain", "children"}  # of what it holds alone, or by others of these
    for name, member in inspect.getmembers(real):
        if name.startswith("_") or name in by_others:
            continue
        home = next(each for each in made.__mro__ if name in vars(each))
        assert home.__module__ == "tidemill.sdk.eager", name
        if inspect.isfunction(member):
            wanted = list(inspect.signature(member).parameters)
            assert list(inspect.signature(getattr(made, name)).parameters) == wanted, name
