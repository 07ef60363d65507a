"""A loop's place over attempts that are killed, asked to end, or fail."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.sdk import bucket, client, context, courier
from tidemill.sdk.context import Interrupted
from tidemill.sdk.worker import Task

RUN = "s3://b/runs/1/"


class Missing(Exception):
    """There is no such object."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing more is done in this attempt."""


class Store:
    """S3, as far as checkpoints use it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def put(self, url: str, body: bytes) -> None:
        self.objects[url] = body
        self.puts += 1

    def get(self, _connection: object, url: str) -> bytes:
        if url not in self.objects:
            raise Missing
        return self.objects[url]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return _stored(monkeypatch)


def _stored(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    s3 = SimpleNamespace(exceptions=SimpleNamespace(NoSuchKey=Missing, NoSuchBucket=Missing))
    monkeypatch.setattr(client, "current", lambda: SimpleNamespace(client=lambda _: s3))
    monkeypatch.setattr(bucket, "get", store.get)
    monkeypatch.setattr(courier, "put", store.put)
    return store


def attempted(function: Callable[[], Any], place: int = 0) -> Any:
    """What the worker makes of one attempt: its end is written down unless it was killed."""
    context.attempt = Task.of(["m:f", "", f"{RUN}results/"], {})
    context.place = place
    try:
        return function()
    except Killed:
        context.at_end.clear()
        raise
    finally:
        for end in context.at_end:
            end()
        context.at_end.clear()
        context.attempt = None


def loop(seen: list[Any], items: Iterable[Any], stop: Any = None, **options: Any) -> None:
    """Note each item; at `stop`'s key do what its value says before the item is finished."""
    for item in tm.checkpoint(items, **options):
        seen.append(item)
        if stop and item in stop:
            stop[item]()


def kill() -> None:
    raise Killed


def fail() -> None:
    raise RuntimeError


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_what_was_done_since_the_last_save_is_done_again(store: Store) -> None:
    first, second = list[int](), list[int]()
    with pytest.raises(Killed):
        attempted(lambda: loop(first, range(40), {25: kill}, every=10))
    attempted(lambda: loop(second, range(40), every=10))
    assert first == list(range(26))
    assert second == list(range(20, 40))


def test_a_loop_that_is_asked_to_end_is_gone_on_with_at_the_next_item(store: Store) -> None:
    first, second = list[int](), list[int]()
    with pytest.raises(Interrupted, match="after item 6"):
        attempted(lambda: loop(first, range(10), {5: ask}))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    attempted(lambda: loop(second, range(10)))
    assert (first, second) == (list(range(6)), list(range(6, 10)))


def test_a_failure_keeps_what_was_finished(store: Store) -> None:
    seen = list[int]()

    def held() -> None:
        items = tm.checkpoint(range(10))  # a name keeps the loop alive after the failure
        for item in items:
            seen.append(item)
            if item == 4 and len(seen) == 5:
                fail()

    with pytest.raises(RuntimeError):
        attempted(held)
    attempted(held)
    assert seen == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]


def test_loops_one_after_another_are_told_apart(store: Store) -> None:
    seen = list[str]()

    def function(stop: Any = None) -> None:
        loop(seen, "abc")
        loop(seen, "def", stop)

    with pytest.raises(RuntimeError):
        attempted(lambda: function({"e": fail}))
    attempted(function)
    assert seen == ["a", "b", "c", "d", "e", "e", "f"]


def test_a_name_outlasts_another_order(store: Store) -> None:
    seen = list[str]()
    with pytest.raises(RuntimeError):
        attempted(lambda: loop(seen, "abc", {"b": fail}, name="letters"))
    attempted(lambda: loop(seen, "xy", name="new"))
    attempted(lambda: loop(seen, "abc", name="letters"))
    assert seen == ["a", "b", "x", "y", "b", "c"]


def test_items_of_a_chunk_have_loops_of_their_own(store: Store) -> None:
    seen = list[int]()
    attempted(lambda: loop(seen, range(2)), place=0)
    with pytest.raises(RuntimeError):
        attempted(lambda: loop(seen, range(5), {1: fail}), place=1)
    attempted(lambda: loop(seen, range(2)), place=0)
    attempted(lambda: loop(seen, range(5)), place=1)
    assert seen == [0, 1, 0, 1, 1, 2, 3, 4]


@given(
    outer=st.integers(0, 4),
    inner=st.integers(0, 4),
    every=st.integers(1, 3),
    ends=st.lists(st.tuples(st.integers(1, 12), st.sampled_from((kill, fail, ask))), max_size=4),
)
def test_no_item_is_left_out_whatever_happens(
    outer: int, inner: int, every: int, ends: list[tuple[int, Callable[[], None]]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        _stored(patched)
        seen = list[Any]()
        for steps, end in [*ends, (1_000, kill)]:
            counted = itertools.count(1)

            def note(thing: Any) -> None:
                seen.append(thing)
                if next(counted) == steps:  # noqa: B023 - called within this round alone
                    end()  # noqa: B023

            def function() -> None:
                for a in tm.checkpoint(range(outer), every=every):
                    for b in tm.checkpoint(range(inner), every=every):
                        note((a, b))
                for c in tm.checkpoint("xy", every=every):
                    note(c)

            try:
                attempted(function)
            except (Killed, RuntimeError, Interrupted):
                continue
            break
        wanted = [*itertools.product(range(outer), range(inner)), "x", "y"]
        assert list(dict.fromkeys(seen)) == wanted
        again = sum(end is not ask for _, end in ends) * (every * (every + 1) + 1)
        assert len(seen) <= len(wanted) + again


@pytest.mark.parametrize("changed", [range(11), [*range(4), 99, *range(5, 10)]])
def test_other_items_are_begun_anew_and_told(
    store: Store, changed: Iterable[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError):
        attempted(lambda: loop([], range(10), {5: fail}))
    seen = list[int]()
    attempted(lambda: loop(seen, changed))
    assert seen == list(changed)
    assert "checkpoint: beginning anew, as " in capsys.readouterr().err


def test_an_iterator_of_other_items_fails_once(store: Store) -> None:
    def numbers(start: int) -> Iterator[int]:
        yield from range(start, start + 5)

    with pytest.raises(RuntimeError):
        attempted(lambda: loop([], numbers(0), {3: fail}))
    with pytest.raises(tm.TidemillError, match=r"item 2 is another one now.*give it a list"):
        attempted(lambda: loop([], numbers(7)))
    seen = list[int]()
    attempted(lambda: loop(seen, numbers(7)))
    assert seen == [7, 8, 9, 10, 11]


def test_a_loop_may_change_its_items(store: Store) -> None:
    seen = list[int]()

    def function() -> None:
        for row in tm.checkpoint([{"n": n} for n in range(4)]):
            row["n"] *= 10
            seen.append(row["n"])
            if seen == [0, 10, 20]:
                fail()

    with pytest.raises(RuntimeError):
        attempted(function)
    attempted(function)
    assert seen == [0, 10, 20, 20, 30]


def test_seconds_save_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 6.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with pytest.raises(Killed):
        attempted(lambda: loop([], range(10), {9: kill}))
    monkeypatch.undo()
    assert store.puts >= 3


def test_outside_of_a_job_they_are_just_the_items() -> None:
    seen = list[int]()
    loop(seen, iter(range(3)))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("items", "every", "kind", "told"),
    [
        ([], 0, ValueError, "every=0 must be at least 1"),
        ({1}, 1, TypeError, "which a set has not; give it sorted"),
    ],
)
def test_what_can_have_no_place(
    items: Iterable[int], every: int, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        tm.checkpoint(items, every=every)


def test_a_process_that_the_function_forks_ends_as_ever(store: Store) -> None:
    def function() -> int:
        for _ in tm.checkpoint([1]):
            pid = os.fork()
            if pid == 0:
                while True:
                    time.sleep(0.01)  # the job's own
            while True:  # a signal that comes right with the fork is lost to any Python
                os.kill(pid, signal.SIGTERM)
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)  # polls
        raise AssertionError

    assert attempted(function) == -signal.SIGTERM
