"""A real server to be killed again and again, its runner, and every process that they started."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from batch_client import ENDED, BatchClient, wait_for
from crash_witness import Witness

from tidemill.sdk.local import LocalServer

QUICK_SEEDS = 1
SEEDS = max(QUICK_SEEDS, int(os.environ.get("TIDEMILL_SIMULATE_SEEDS", "0")) // 400)
FIRST = int(os.environ.get("TIDEMILL_SIMULATE_FIRST", "0"))
IS_LONG = SEEDS > QUICK_SEEDS
DEADLINE_S = 60.0
_MARK = "CRASH_LAB"
_RUNNER = "tidemill.engines.process.runner"
_WARM = "tidemill.sdk.warm"
_DIRECTORY = "TIDEMILL_DIRECTORY"
_ports = itertools.count(20_000 + os.getpid() % 8_000)
"""Below those that the system gives out, as a server comes back to its own while it is free."""


class CrashLab:
    """A server at one address over all its deaths, and what its jobs have witnessed."""

    def __init__(self, folder: Path, seed: int, *arguments: str) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.witness = Witness(folder / "jobs")
        self.port = _free_port()
        self._arguments = ("--limits", "lifted", *arguments, "--port", str(self.port))
        self.server = LocalServer(folder / "data", self._arguments)

    @cached_property
    def batch(self) -> BatchClient:
        """One client for the test's whole life: its connections die with the server, too."""
        return BatchClient(self.server.client("batch"), self.folder)

    @cached_property
    def logs(self) -> Any:
        """The client of CloudWatch Logs."""
        return self.server.client("logs")

    # Jobs

    def define(self, name: str, work: str, *, is_locked: bool = True, **members: Any) -> str:
        """A definition of a witnessed job; its name."""
        command = ("sh", self.witness.script(name, work, is_locked=is_locked))
        return self.batch.define(*command, container={"environment": [self._mark]}, **members)

    def define_with_grace(self, name: str, work: str, grace_s: int) -> str:
        """The like with AWS's `stopTimeout`, which containers of ecsProperties have; its name."""
        unique = self.batch.name(name)
        container = {
            "name": "main",
            "image": "busybox",
            "command": ["sh", self.witness.script(name, work)],
            "environment": [self._mark],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "64"},
            ],
            "stopTimeout": grace_s,
        }
        self.batch.client.register_job_definition(
            jobDefinitionName=unique,
            type="container",
            ecsProperties={"taskProperties": [{"containers": [container]}]},
        )
        return unique

    @property
    def _mark(self) -> dict[str, str]:
        """The variable by which `family` knows a job's processes."""
        return {"name": _MARK, "value": str(self.folder)}

    def counts(self, array_id: str) -> dict[str, int]:
        """An array's statusSummary."""
        found: dict[str, int] = self.batch.describe(array_id)["arrayProperties"]["statusSummary"]
        return found

    def succeeded(self, array_id: str, size: int) -> list[dict[str, Any]]:
        """The details of all children of an array that is to succeed."""
        self.until(lambda: self.batch.describe(array_id)["status"] in ENDED)
        children = self.children(array_id, size)
        failed = [child for child in children if child["status"] != "SUCCEEDED"]
        assert not failed, f"{len(failed)} children failed, the first is {failed[0]}"
        return children

    def children(self, array_id: str, size: int) -> list[dict[str, Any]]:
        """The details of all children of an array."""
        ids = [f"{array_id}:{index}" for index in range(size)]
        found: list[dict[str, Any]] = []
        for at in range(0, size, 100):
            found += self.batch.client.describe_jobs(jobs=ids[at : at + 100])["jobs"]
        assert [job["jobId"] for job in found] == ids
        return found

    def output(self, job: dict[str, Any]) -> list[str]:
        """What the newest attempt of a job has printed."""
        stream = job["container"]["logStreamName"]
        answer = self.logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]

    # Deaths

    def after_jobs(self, goal: int) -> None:
        """Return at a random moment after so many jobs have ended."""
        deadline = time.monotonic() + DEADLINE_S
        while self.witness.read().ended < goal:
            ended = self.witness.ended
            assert time.monotonic() < deadline, f"only {ended} jobs of {goal} have ended"
            time.sleep(0.002)  # polls
        self.pause(0.02)

    def pause(self, longest_s: float) -> None:
        """Let a random time pass, so that a death comes at any point of what is going on."""
        time.sleep(self.random.uniform(0, longest_s))  # any moment is right

    def kill_server(self) -> None:
        """kill -9."""
        self.server.kill()

    def kill_runner(self) -> None:
        """kill -9, when there is one."""
        _kill(self.runners())

    def kill_warm(self) -> None:
        """kill -9 of the warm interpreters.

        Their forks look the same, and those of a dead one are the runner's children as well; but
        forks bear witness.
        """
        runners = {runner.pid for runner in self.runners()}
        warm = [process for process, command in self._family() if _WARM in command]
        forks = {pid for seen in self.witness.read().attempts.values() for pid in seen.starts}
        with contextlib.suppress(psutil.NoSuchProcess):
            _kill([each for each in warm if each.ppid() in runners and each.pid not in forks])

    def kill_starting(self, delay_s: float) -> None:
        """Start the server, and kill -9 it `delay_s` later, whatever it is at then."""
        with (self.folder / "starting.log").open("ab") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tidemill", "serve", "--data", self.server.data),
                    *self._arguments,
                ],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(delay_s)
        process.kill()
        process.wait()

    def start(self) -> float:
        """Start the server; how long it took, in seconds."""
        begin = time.monotonic()
        self.server.start()
        return time.monotonic() - begin

    # Processes

    def runners(self) -> list[psutil.Process]:
        """The runner; none while there is none."""
        place = str(self.server.data / "engines" / "process")
        return [
            process
            for process, words in _processes(lambda process: process.cmdline())
            if _RUNNER in words and place in words
        ]

    def family(self) -> list[psutil.Process]:
        """Every living process that a job of this lab is, or has started."""
        return [process for process, _ in self._family()]

    def commands(self) -> list[list[str]]:
        """What the family's processes were started as."""
        return [command for _, command in self._family()]

    def _family(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """Known by our variable, the library's jobs by theirs."""
        place = str(self.witness.folder)
        for process, (variables, command) in _processes(_traits):
            if variables.get(_MARK) == str(self.folder) or variables.get(_DIRECTORY) == place:
                yield process, command

    def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Return once `condition` holds; fails at the deadline."""
        wait_for(condition, deadline_s)

    def clear(self) -> None:
        """`tidemill stop --jobs`, after which nothing may be left."""
        try:
            self.server.stop()
            left = [*self.family(), *self.runners()]
            assert not left, f"`stop --jobs` has left {left}"
        finally:
            self.server.kill()
            _kill([*self.runners(), *self.family()])


@contextlib.contextmanager
def crash_lab(seed: int, *arguments: str) -> Iterator[CrashLab]:
    """A lab with a running server; nothing of it is left after the block."""
    folder = Path(tempfile.mkdtemp(prefix="tidemill-crash-"))
    lab = CrashLab(folder, seed, *arguments)
    try:
        lab.start()
        yield lab
        lab.witness.check()
    except BaseException:
        print(f"The server of seed {seed} said:\n{lab.server.output()}")
        raise
    finally:
        try:
            lab.clear()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _traits(process: psutil.Process) -> tuple[dict[str, str], list[str]]:
    return process.environ(), process.cmdline()


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _processes(ask: Callable[[psutil.Process], Any]) -> Iterator[tuple[psutil.Process, Any]]:
    """All living processes that answer, and what they answer."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            answer = ask(process)
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, answer


def _free_port() -> int:
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the count has no end")
