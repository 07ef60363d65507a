"""What any engine must do, as tests for pytest: subclass `EngineSuite`, say how to make yours.

    class TestMine(EngineSuite):
        def make_engine(self, folder: Path) -> Engine:
            return MyEngine(...)   # writing its logs to folder / "logs"

`make_engine` may be called again on the same folder: the second engine is a restarted server's.
Jobs are small programs of /bin/sh. An engine whose jobs run elsewhere overrides `scratch` with a
folder that both sides see. Nothing but tests imports this module: it needs pytest.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tidemill.platform.engine import (
    Attempt,
    Engine,
    EngineError,
    Exited,
    Lost,
    Observation,
    Pool,
    StaleEpoch,
    Started,
    Stop,
)
from tidemill.platform.log import stream_token
from tidemill.platform.log_reader import LogReader

GROUP = "/aws/batch/job"
POOL = Pool(name="local", cpu_milli=2000, memory_mib=4096)
DEADLINE_S = 30.0
_T = TypeVar("_T", bound=Observation)


class Lab:
    """An engine under test, the loop it lives on, and all that it has reported."""

    def __init__(self, make: Callable[[], Engine], folder: Path) -> None:
        self.make = make
        self.engine = make()
        self.folder = folder
        self.seen: list[Observation] = []
        self.runner = asyncio.Runner()
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)

    def open(self, *, epoch: int = 1, pools: Sequence[Pool] = (POOL,)) -> None:
        """Open the engine for a server of this epoch, with these pools."""

        async def enter() -> None:
            await self.engine.open(self._observe, epoch=epoch)
            self.engine.resize(pools)

        self.run(enter())

    def reopen(self, *, epoch: int = 1) -> None:
        """What a restarted server does; forgets what was seen."""
        self.run(self.engine.close(stop_jobs=False))
        self.seen.clear()
        self.engine = self.make()
        self.open(epoch=epoch)

    def close(self) -> None:
        """Close the engine and end its jobs."""
        self.run(self.engine.close(stop_jobs=True))
        self.runner.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of `work` on the engine's loop; `TimeoutError` after `DEADLINE_S`."""
        return self.runner.run(asyncio.wait_for(work, DEADLINE_S))

    def attempt(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        cpu_milli: int = 1000,
        memory_mib: int = 512,
        **rest: Any,
    ) -> Attempt:
        """An attempt that runs `command`."""
        number = next(self._numbers)
        token = stream_token(time.time_ns() // 1_000_000, f"{number:024x}")
        return Attempt(
            attempt_id=f"{uuid.uuid4()}#1",
            pool=POOL.name,
            command=command,
            environment={} if environment is None else environment,
            cpu_milli=cpu_milli,
            memory_mib=memory_mib,
            log_group=GROUP,
            log_stream=f"test/default/{token}",
            **rest,
        )

    def shell(self, script: str, **rest: Any) -> Attempt:
        """An attempt that runs a shell script."""
        return self.attempt("/bin/sh", "-c", script, **rest)

    def start(self, *attempts: Attempt) -> None:
        """Order the engine to start attempts; so do the next four, as the protocol has them."""
        self._do(lambda: self.engine.start(attempts))

    def stop(self, attempt: Attempt, grace_s: float = 5.0) -> None:
        self._do(lambda: self.engine.stop([Stop(attempt_id=attempt.attempt_id, grace_s=grace_s)]))

    def recover(self, *attempts: Attempt) -> None:
        self._do(lambda: self.engine.recover([attempt.attempt_id for attempt in attempts]))

    def settle(self, *attempts: Attempt) -> None:
        self._do(lambda: self.engine.settle([attempt.attempt_id for attempt in attempts]))

    def resize(self, *pools: Pool) -> None:
        self._do(lambda: self.engine.resize(pools))

    def started(self, attempt: Attempt) -> Started:
        """Wait for the report of a start."""
        return self._await(Started, attempt)

    def exited(self, attempt: Attempt) -> Exited:
        """Wait for the report of an end."""
        return self._await(Exited, attempt)

    def lost(self, attempt: Attempt) -> Lost:
        """Wait for the report of a loss."""
        return self._await(Lost, attempt)

    def reports(self, attempt: Attempt) -> list[Observation]:
        """All that has been reported of an attempt, in order."""
        return [seen for seen in self.seen if seen.attempt_id == attempt.attempt_id]

    def output(self, attempt: Attempt) -> list[str]:
        """The lines in the attempt's log stream."""
        reader = LogReader(self.folder / "logs")
        page = reader.read(attempt.log_group, attempt.log_stream, start_ms=0)
        assert page is not None, "the attempt has no log stream"
        return [event.message for event in page.events]

    def until(self, is_so: Callable[[], bool]) -> None:
        """Let the engine work until something outside of it has come about."""

        async def watch() -> None:
            while not is_so():  # noqa: ASYNC110 - what it waits for sets no event
                await asyncio.sleep(0.002)

        self.run(watch())

    def _observe(self, observations: Sequence[Observation]) -> None:
        self.seen.extend(observations)
        self._news.set()

    def _do(self, order: Callable[[], None]) -> None:
        async def give() -> None:
            order()

        self.run(give())

    def _await(self, kind: type[_T], attempt: Attempt) -> _T:
        async def watch() -> _T:
            while True:
                for seen in self.reports(attempt):
                    if isinstance(seen, kind):
                        return seen
                self._news.clear()
                await self._news.wait()

        try:
            found: _T = self.run(watch())
        except TimeoutError:
            pytest.fail(f"no {kind.__name__} came, but {self.reports(attempt)}")
        return found


class EngineSuite:
    """The tests. A subclass whose name begins with `Test` has them run."""

    def make_engine(self, folder: Path) -> Engine:
        """A new engine, not open yet, that keeps what it keeps in `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def scratch(self, tmp_path: Path) -> Path:
        """An empty folder that the jobs can write to."""
        folder = tmp_path / "scratch"
        folder.mkdir()
        return folder

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Iterator[Lab]:
        """An open engine."""
        lab = Lab(lambda: self.make_engine(tmp_path), tmp_path)
        lab.open()
        yield lab
        lab.close()

    def test_a_command_runs_and_its_end_and_output_are_seen(self, lab: Lab) -> None:
        job = lab.shell("echo one; echo two >&2; printf three; exit 7")
        before_ms = time.time_ns() // 1_000_000
        lab.start(job)
        end = lab.exited(job)
        assert (end.exit_code, end.reason) == (7, "")
        assert end.started_at_ms is not None
        assert before_ms <= end.started_at_ms <= end.at_ms <= time.time_ns() // 1_000_000
        assert lab.output(job) == ["one", "two", "three"]

    def test_a_silent_attempt_has_an_empty_stream(self, lab: Lab) -> None:
        job = lab.attempt("/bin/true")
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        assert lab.output(job) == []

    def test_a_long_attempt_is_reported_when_it_starts(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(f"until [ -e {scratch}/go ]; do sleep 0.01; done")
        lab.start(job)
        start = lab.started(job)
        (scratch / "go").touch()
        end = lab.exited(job)
        assert end.started_at_ms == start.at_ms

    def test_the_environment_is_the_attempt_s_and_what_a_process_needs(
        self, lab: Lab, scratch: Path
    ) -> None:
        job = lab.attempt(
            "env", environment={"A": "1 =2", "HOME": "/nowhere"}, working_directory=str(scratch)
        )
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        found = dict(line.split("=", 1) for line in lab.output(job))
        assert (found.pop("A"), found.pop("HOME")) == ("1 =2", "/nowhere")
        assert {"PATH", "LANG"} <= found.keys()
        assert {name for name in found if not name.startswith("TIDEMILL_")} <= {
            *("PATH", "LANG", "PWD", "SHLVL", "_")
        }

    def test_it_runs_in_the_directory_asked_for(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell("pwd", working_directory=str(scratch))
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        assert lab.output(job) == [str(scratch)]

    def test_a_signal_is_an_exit_code_above_128(self, lab: Lab) -> None:
        job = lab.shell("kill -SEGV $$")
        lab.start(job)
        assert lab.exited(job).exit_code == 128 + 11

    def test_what_can_t_be_started_says_why_and_has_no_exit_code(self, lab: Lab) -> None:
        job = lab.attempt("no-such-program")
        lab.start(job)
        end = lab.exited(job)
        assert (end.exit_code, end.started_at_ms) == (None, None)
        assert end.reason.startswith("CannotStartContainerError: `no-such-program` was not found")

    def test_an_attempt_given_twice_runs_once(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(
            f"echo ran >> {scratch}/runs; until [ -e {scratch}/go ]; do sleep 0.01; done"
        )
        lab.start(job, job)
        lab.started(job)
        lab.start(job)
        (scratch / "go").touch()
        lab.exited(job)
        lab.seen.clear()
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        assert (scratch / "runs").read_text() == "ran\n"

    def test_stop_lets_an_attempt_end_by_itself(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(
            f"trap 'echo bye; exit 3' TERM; touch {scratch}/up; while :; do sleep 0.01; done"
        )
        lab.start(job)
        lab.until((scratch / "up").exists)
        lab.stop(job)
        assert lab.exited(job).exit_code == 3
        assert lab.output(job)[-1:] == ["bye"]

    def test_stop_kills_what_does_not_end_in_time(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(f"trap '' TERM; touch {scratch}/up; while :; do sleep 0.01; done")
        lab.start(job)
        lab.until((scratch / "up").exists)
        lab.stop(job, grace_s=0.2)
        assert lab.exited(job).exit_code == 137

    def test_what_is_unknown_is_lost(self, lab: Lab) -> None:
        stopped, recovered = lab.attempt("/bin/true"), lab.attempt("/bin/true")
        lab.stop(stopped)
        lab.recover(recovered)
        assert lab.lost(stopped)
        assert lab.lost(recovered)

    def test_no_more_runs_than_has_room_and_in_the_order_given(
        self, lab: Lab, scratch: Path
    ) -> None:
        if not lab.engine.look_ahead:
            pytest.skip("this engine is never given more than there is room for")
        jobs = [lab.shell(_critical(scratch, i), cpu_milli=2000) for i in range(12)]
        lab.start(*jobs)
        for job in jobs:
            assert lab.exited(job).exit_code == 0
        assert (scratch / "order").read_text().split() == [str(i) for i in range(12)]

    def test_a_head_without_room_holds_back_what_is_behind_it(
        self, lab: Lab, scratch: Path
    ) -> None:
        if not lab.engine.look_ahead:
            pytest.skip("this engine is never given more than there is room for")
        small = lab.shell(_wait_for(scratch / "one"), memory_mib=3000, cpu_milli=100)
        large = lab.shell(f"echo large >> {scratch}/order", memory_mib=3000, cpu_milli=100)
        behind = lab.shell(f"echo behind >> {scratch}/order", memory_mib=1200, cpu_milli=100)
        lab.start(small, large, behind)
        lab.started(small)
        (scratch / "one").touch()
        assert lab.exited(behind).exit_code == 0
        assert lab.exited(large).exit_code == 0
        assert not (scratch / "order").read_text().startswith("behind\n")

    def test_an_attempt_held_back_can_be_taken_back(self, lab: Lab, scratch: Path) -> None:
        if not lab.engine.look_ahead:
            pytest.skip("this engine is never given more than there is room for")
        first = lab.shell(_wait_for(scratch / "go"), cpu_milli=2000)
        held = lab.shell(f"touch {scratch}/ran", cpu_milli=2000)
        lab.start(first, held)
        lab.started(first)
        lab.stop(held)
        end = lab.exited(held)
        assert (end.exit_code, end.started_at_ms) == (None, None)
        (scratch / "go").touch()
        lab.exited(first)
        assert not (scratch / "ran").exists()

    def test_a_larger_pool_starts_more_at_once(self, lab: Lab, scratch: Path) -> None:
        if not lab.engine.look_ahead:
            pytest.skip("this engine is never given more than there is room for")
        jobs = [lab.shell(_wait_for(scratch / "go"), cpu_milli=2000) for _ in range(2)]
        lab.start(*jobs)
        lab.started(jobs[0])
        lab.resize(Pool(name=POOL.name, cpu_milli=4000, memory_mib=4096))
        lab.started(jobs[1])
        (scratch / "go").touch()
        for job in jobs:
            assert lab.exited(job).exit_code == 0

    def test_jobs_run_on_without_the_server_and_their_ends_are_kept(
        self, lab: Lab, scratch: Path
    ) -> None:
        ends = lab.shell(f"{_wait_for(scratch / 'go')}; touch {scratch}/gone; exit 4")
        stays = lab.shell(_wait_for(scratch / "later"))
        lab.start(ends, stays)
        lab.started(ends)
        lab.started(stays)
        lab.run(lab.engine.close(stop_jobs=False))
        (scratch / "go").touch()
        lab.until((scratch / "gone").exists)
        lab.reopen()
        lab.recover(ends, stays)
        lab.started(stays)
        assert lab.exited(ends).exit_code == 4
        (scratch / "later").touch()
        assert lab.exited(stays).exit_code == 0

    def test_a_settled_end_is_forgotten(self, lab: Lab) -> None:
        job = lab.attempt("/bin/true")
        lab.start(job)
        lab.exited(job)
        lab.settle(job)
        lab.recover(job)
        assert lab.lost(job)

    def test_memory_over_the_limit_ends_an_attempt(self, lab: Lab) -> None:
        hog = "import time; held = bytearray(200 << 20); time.sleep(60)"
        job = lab.attempt("python3", "-c", hog, memory_mib=100)
        lab.start(job)
        end = lab.exited(job)
        assert end.exit_code == 137
        assert end.reason == "OutOfMemoryError: Container killed due to memory usage"
        assert end.usage.memory_peak_bytes >= 100 << 20

    def test_use_of_processor_and_memory_is_told(self, lab: Lab) -> None:
        work = "held = bytearray(64 << 20)\nwhile __import__('time').process_time() < 0.2: pass"
        job = lab.attempt("python3", "-c", work)
        lab.start(job)
        usage = lab.exited(job).usage
        assert 0.2 <= usage.cpu_s < 5
        assert 64 << 20 <= usage.memory_peak_bytes < 200 << 20

    def test_orders_of_an_older_leader_are_refused(self, lab: Lab) -> None:
        lab.reopen(epoch=5)
        older = lab.make()

        async def enter() -> None:
            await older.open(lambda _: None, epoch=4)

        with pytest.raises(StaleEpoch, match="epoch"):
            lab.run(enter())
        lab.run(older.close(stop_jobs=False))
        job = lab.attempt("/bin/true")
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        assert issubclass(StaleEpoch, EngineError)

    def test_closing_for_good_leaves_nothing_behind(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(f"trap 'touch {scratch}/told; exit' TERM; {_wait_for(scratch / 'never')}")
        held = lab.shell(f"touch {scratch}/ran", cpu_milli=2000)
        lab.start(job, held)
        lab.started(job)
        lab.run(lab.engine.close(stop_jobs=True))
        assert (scratch / "told").exists()
        assert not (scratch / "ran").exists()
        lab.engine = lab.make()
        lab.open()


def _wait_for(path: Path) -> str:
    return f"until [ -e {path} ]; do sleep 0.01; done"


def _critical(folder: Path, number: int) -> str:
    """Fails when another runs at the same time."""
    return f"mkdir {folder}/lock && echo {number} >> {folder}/order && rmdir {folder}/lock"
