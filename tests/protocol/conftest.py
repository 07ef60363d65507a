"""A real server for real clients: one on SQLite and one on PostgreSQL for each test process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tidemill.sdk.local import LocalServer, local

STORES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def _servers(request: pytest.FixtureRequest) -> Iterator[Callable[[str], LocalServer]]:
    """Servers by store, each started when a test first asks for it."""
    import contextlib

    with contextlib.ExitStack() as stack:
        started: dict[str, LocalServer] = {}

        def server_on(store: str) -> LocalServer:
            if store not in started:
                arguments = ["--limits", "lifted"]
                if store == "postgres":
                    url = request.getfixturevalue("postgres_url")
                    arguments += ["--database", url]
                started[store] = stack.enter_context(local(*arguments))
            return started[store]

        yield server_on


@pytest.fixture(params=STORES)
def server(request: pytest.FixtureRequest, _servers: Callable[[str], LocalServer]) -> LocalServer:
    """A running private server with lifted limits; tests share it, so they make their own names."""
    return _servers(request.param)


@pytest.fixture(params=STORES)
def lone_server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """A server of the test's own, with AWS's limits: for what would harm other tests."""
    arguments = []
    if request.param == "postgres":
        arguments = ["--database", request.getfixturevalue("new_postgres_url")()]
    with local(*arguments) as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[Callable[..., Any]]:
    """boto3 clients of the server, closed with the test."""
    made: list[Any] = []

    def make(service: str, **settings: Any) -> Any:
        made.append(server.client(service, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()
