"""Each store in turn, for what must hold on all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_house import NewStore

from tidemill.platform.postgres import PostgresStore
from tidemill.platform.sqlite import SqliteStore


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Another server's view of the same database."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "tidemill.db")
    url = request.getfixturevalue("new_postgres_url")()
    return lambda: PostgresStore(url)
