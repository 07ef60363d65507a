"""The rows of what jobs run in, in and out: SQL in `registry.sql`, never a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tidemill.platform.sql import migrations, statements
from tidemill.platform.store import Row, Store, Write
from tidemill.services.batch.catalogue import Revision

MIGRATIONS: Final = migrations("tidemill.services.batch.registry_migrations", "batch_registry")
SQL: Final = statements("tidemill.services.batch", "registry.sql")


@dataclass(frozen=True, slots=True)
class Rows:
    """All that a registry is restored from: documents by (kind, name), and definitions."""

    resources: list[tuple[str, str, bytes]] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)


async def load(store: Store) -> Rows:
    """Everything there is."""
    resources = await store.fetch(SQL["select_resources"])
    definitions = await store.fetch(SQL["select_definitions"])
    return Rows(
        [(kind, name, bytes(body)) for kind, name, body in resources],
        [Revision(name, number, bytes(body), at) for name, number, body, at in definitions],
    )


def writes(
    resources: Mapping[tuple[str, str], bytes | None],
    definitions: Mapping[tuple[str, int], Revision | None],
    job_bodies: Mapping[int, bytes],
) -> list[Write]:
    """The writes that make these changes durable; None stands for a row that goes."""
    kept: list[Row] = [(*key, body) for key, body in resources.items() if body is not None]
    gone: list[Row] = [key for key, body in resources.items() if body is None]
    revisions: list[Row] = [
        (r.name, r.number, r.body, r.ended_ms) for r in definitions.values() if r is not None
    ]
    forgotten: list[Row] = [key for key, revision in definitions.items() if revision is None]
    found = (
        Write(SQL["upsert_resource"], kept),
        Write(SQL["delete_resource"], gone),
        Write(SQL["upsert_definition"], revisions),
        Write(SQL["delete_definition"], forgotten),
        Write(SQL["update_job_body"], list(job_bodies.items())),
    )
    return [write for write in found if write.rows]
