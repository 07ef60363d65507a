"""What a store is: rows in and out by SQL, and one durable transaction for a batch of writes.

Two implementations stand behind this contract, SQLite (`sqlite.py`) and PostgreSQL
(`postgres.py`); one conformance suite runs over both. SQL is written once, in the part that both
dialects share, with `$1, $2` for parameters; only migrations have a file per dialect. Values are
int, float, str, bytes and None. Where PostgreSQL is stricter it rules: text has no NUL character,
a parameter has its column's type, LIKE heeds case. Where text is ordered or compared by `<`, its
PostgreSQL column says COLLATE "C", which is SQLite's order: that of the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = tuple[Any, ...]


@dataclass(slots=True)
class Write:
    """One statement, executed for each of `rows` in order."""

    sql: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step of one component's schema, in both dialects.

    Numbers of a component start at 1 without a gap. A database whose component is at a number
    that this program does not know is from a newer version and is refused.
    """

    component: str
    number: int
    sqlite: str
    postgres: str


class StoreError(Exception):
    """The store can't be used: one sentence that says what is wrong and what to do."""


class Store(Protocol):
    """Durable rows. Commits come from one writer only (`commit.Committer`); reads from anywhere."""

    async def open(self, migrations: Sequence[Migration]) -> None:
        """Connect, take the leader's lease (`epoch` is set then), bring the schema up to date.

        Raises `StoreError` when another server leads, when the database is newer than this
        program, or when it can't be opened.
        """

    @property
    def epoch(self) -> int:
        """The number of this leadership: greater than that of every earlier one."""

    async def commit(self, writes: Sequence[Write]) -> None:
        """Make all of `writes` durable in one transaction, or none of them.

        Asserts the lease in the same transaction; raises `StoreError` when it is lost or the
        disk is full. After an error the caller stops the process: its memory is ahead.
        """

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        """The rows of a query, as of a moment after every commit that has returned."""

    async def backup(self, path: str) -> None:
        """A consistent copy to `path` while everything runs on."""

    async def close(self) -> None:
        """Give the lease back and disconnect."""
