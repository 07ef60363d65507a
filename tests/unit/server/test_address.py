"""Ports and hosts: what can be had, and how it is told when it can't."""

from __future__ import annotations

import pytest
from own_address import own_address

from tidemill.server.address import bind, endpoint, occupy
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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_jobs_get_their_credentials_at_a_loopback_address(host: str) -> None:
    place = occupy(host, 0)
    [bound] = place.sockets
    assert place.local == f"http://127.0.0.1:{bound.getsockname()[1]}"
    place.close()


def test_loopback_is_held_beside_an_address_that_leaves_it_out() -> None:
    host = own_address()
    place = occupy(host, 0)
    port = place.sockets[0].getsockname()[1]
    assert place.endpoint == f"http://{host}:{port}"
    assert place.local == f"http://127.0.0.1:{port}"
    with pytest.raises(StartError, match=f"Port {port} on 127.0.0.1 is in use"):
        bind("127.0.0.1", port)
    place.close()
    with bind("127.0.0.1", port), pytest.raises(StartError, match=f"Port {port} on 127.0.0.1"):
        occupy(host, port)
    with bind(host, port):
        pass


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
