"""The few rows of Logs, in and out: what was said about groups, and which streams are deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from tidemill.platform.sql import statements
from tidemill.platform.store import Store, Write

_SQL: Final = statements("tidemill.services.logs", "logs.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One log group; `retention_days` None leaves it to the server's own setting."""

    name: str
    created_ms: int
    retention_days: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


async def load_groups(store: Store) -> dict[str, Group]:
    """The groups of which something was said, by name."""
    rows = await store.fetch(_SQL["groups"])
    return {
        name: Group(
            name=name,
            created_ms=created_ms,
            retention_days=retention_days,
            tags=msgspec.json.decode(tags),
        )
        for name, created_ms, retention_days, tags in rows
    }


async def load_deleted(store: Store) -> set[tuple[str, str]]:
    """The deleted streams whose output may still be there, as (group, stream)."""
    return {(group, stream) for group, stream in await store.fetch(_SQL["deleted_streams"])}


def put_group(group: Group) -> list[Write]:
    """Make a group, or change its retention and tags."""
    tags = msgspec.json.encode(group.tags)
    row = (group.name, group.created_ms, group.retention_days, tags)
    return [Write(_SQL["put_group"], [row])]


def delete_group(name: str) -> list[Write]:
    """Forget a group and its deleted streams."""
    return [
        Write(_SQL["delete_group"], [(name,)]),
        Write(_SQL["forget_deleted_of_group"], [(name,)]),
    ]


def put_deleted(group: str, stream: str) -> list[Write]:
    """Note that a stream is deleted."""
    return [Write(_SQL["put_deleted"], [(group, stream)])]


def forget_deleted(streams: list[tuple[str, str]]) -> list[Write]:
    """Forget deleted streams whose output is gone."""
    return [Write(_SQL["forget_deleted"], streams)]
