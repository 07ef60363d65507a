"""Which steps bring a database's schema up to date, and when it must be refused.

What every database has before its first migration stands here too: the table of versions and
the lease. Both are the same in both dialects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tidemill.platform import sql
from tidemill.platform.store import Migration, StoreError

BOOTSTRAP: Final = """
    CREATE TABLE IF NOT EXISTS schema_version (
        component TEXT PRIMARY KEY,
        number INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS lease (
        id INTEGER PRIMARY KEY,
        epoch BIGINT NOT NULL,
        holder TEXT NOT NULL,
        expires_ms BIGINT NOT NULL
    );
    INSERT INTO lease (id, epoch, holder, expires_ms) VALUES (1, 0, '', 0)
        ON CONFLICT (id) DO NOTHING;
"""

VERSIONS: Final = "SELECT component, number FROM schema_version"

SET_VERSION: Final = (
    "INSERT INTO schema_version (component, number) VALUES ($1, $2)"
    " ON CONFLICT (component) DO UPDATE SET number = excluded.number"
)


def platform_migrations() -> list[Migration]:
    """The tables of the platform itself: the events feed and the remembered replies."""
    return sql.migrations("tidemill.platform.migrations", "platform")


def pending(
    migrations: Sequence[Migration], applied: Mapping[str, int], where: str
) -> list[Migration]:
    """The migrations that the database at `where` has not had, in the order given.

    Raises `StoreError` when it has had one that this program does not know.
    """
    known: dict[str, int] = {}
    for migration in migrations:
        known[migration.component] = max(known.get(migration.component, 0), migration.number)
    for component, number in applied.items():
        if number > known.get(component, 0):
            raise StoreError(
                f"{where} was written by a newer version of Tidemill (its `{component}` schema is"
                f" at {number}, this program knows {known.get(component, 0)}): install that"
                " version, or restore a backup made by this one."
            )
    return [step for step in migrations if step.number > applied.get(step.component, 0)]
