"""Who may connect to the runner, and what becomes of it when it can't be let in."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tidemill.engines.process import listen
from tidemill.engines.process.poll import Poll
from tidemill.engines.process.protocol import address


@pytest.fixture
def no_more_files() -> Iterator[None]:
    """Makes this process unable to open a file until the test has ended."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("no_more_files")
def test_who_finds_no_file_left_waits_and_keeps_nobody_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "ACCEPT_AGAIN_S", 0.05)
    poll = Poll()
    listener = listen.Listener(tmp_path, poll, cast(Any, None))
    with socket.socket(socket.AF_UNIX) as client:
        with address(tmp_path) as path:
            client.connect(path)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        poll.wait()
        ready = poll._epoll.poll(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert ready == [], "the poll would never sleep"
        assert not listener._guests
        poll.wait()
        poll.wait()
        assert len(listener._guests) == 1
    listener.close()
    for guest in listener._guests.copy():
        guest.close()
