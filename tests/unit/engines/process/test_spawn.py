"""What an attempt's process finds when it begins."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.engines.process.protocol import Order
from tidemill.engines.process.spawn import Spawner

FEW = 64


@pytest.fixture
def few_files() -> Iterator[None]:
    """This process was started with a low limit of open files, which it may raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_files")
def test_more_attempts_than_a_process_may_open_files_run_with_that_limit(tmp_path: Path) -> None:
    spawner = Spawner(tmp_path)
    order = Order("a", "pool", ["/bin/sh", "-c", "ulimit -Sn"], {}, 0, 0, "group", "stream")
    pipes = [os.pipe() for _ in range(FEW)]
    try:
        here = Path.cwd()
        pid = spawner.spawn(order, pipes[-1][1])
        os.chdir(here)
        assert os.waitpid(pid, 0)[1] == 0
        assert os.read(pipes[-1][0], 100) == b"%d\n" % FEW
        os.close(pipes[-1][1])
        assert os.read(pipes[-1][0], 100) == b""  # nobody else holds its output open
    finally:
        for read, _ in pipes:
            os.close(read)
        for _, write in pipes[:-1]:
            os.close(write)
