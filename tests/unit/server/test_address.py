"""Ports and hosts: what can be had, and how it is told when it can't."""

from __future__ import annotations

import pytest

from tidemill.server.address import bind, endpoint
from tidemill.server.config import StartError


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("localhost", "http://localhost:"),
        ("0.0.0.0", "http://127.0.0.1:"),
    ],
)
def test_jobs_are_given_an_address_that_reaches_the_server(host: str, url: str) -> None:
    with bind(host, 0) as bound:
        port = bound.getsockname()[1]
        assert endpoint(host, bound) == f"{url}{port}"


def test_a_port_is_held_by_one() -> None:
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(StartError, match=f"Port {port} on 127.0.0.1 is in use"):
            bind("127.0.0.1", port)
    with bind("127.0.0.1", port):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 300, "", "a b"])
def test_a_host_that_is_not_this_machine(host: str) -> None:
    with pytest.raises(StartError, match="is no address of this machine; give one with --host"):
        bind(host, 0)
