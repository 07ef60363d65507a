"""Celery with Redis, two processes: the peer of the library's maps and submissions."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

READY_S = 60.0


def missing() -> str | None:
    """What must be installed first, or None when all is there."""
    if importlib.util.find_spec("celery") is None:
        return "Celery (`make bench` installs it)"
    if shutil.which("redis-server") is None:
        return "Redis (`apt install redis-server`)"
    return None


class Celery:
    """A worker of two processes at the other end of a queue, and its no-op task."""

    def __init__(self, noop: Any) -> None:
        self._noop = noop

    def group_rate(self, items: int) -> float:
        """Items a second from the call of a group to the list of its results."""
        from celery import group

        begun = time.perf_counter()
        values = group(self._noop.s(item) for item in range(items))().get()
        took_s = time.perf_counter() - begun
        assert values == [None] * items
        return items / took_s

    def delay_rate(self, calls: int) -> float:
        """Calls of `delay` a second, one after the other; returns once all have been worked off."""
        begun = time.perf_counter()
        sent = [self._noop.delay(number) for number in range(calls)]
        took_s = time.perf_counter() - begun
        for result in sent:
            result.get()
        return calls / took_s

    def parked_rate(self, calls: int) -> float:
        """The same into a queue that nobody works off."""
        begun = time.perf_counter()
        for number in range(calls):
            self._noop.apply_async((number,), queue="parked")
        return calls / (time.perf_counter() - begun)

    def round_trips_s(self, calls: int) -> list[float]:
        """How long each of some calls took from `delay` to its result."""
        return [timed_s(lambda: self._noop.delay(0).get()) for _ in range(calls)]


def timed_s(call: Callable[[], object]) -> float:
    """How long one call took."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@contextlib.contextmanager
def celery() -> Iterator[Celery]:
    """A private Redis and a worker of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        redis = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        _start(stack, [*redis, "--save", ""], **quiet)
        os.environ["BENCHMARK_REDIS"] = f"redis://127.0.0.1:{port}/0"
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_noop", "worker"]
        root = str(Path(__file__).parent.parent)
        _start(stack, [*command, "-c2", "--loglevel=error"], cwd=root, **quiet)
        from benchmarks.celery_noop import noop

        _answered(noop)
        yield Celery(noop)


def _start(stack: contextlib.ExitStack, command: list[str], **settings: Any) -> None:
    process = subprocess.Popen(command, **settings)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _answered(noop: Any) -> None:
    """Return once the worker has done something; Redis may still be starting."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            noop.delay(0).get(timeout=READY_S)
            return
        except Exception:  # whatever its client raises while nobody listens
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
