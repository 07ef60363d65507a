"""What came of a run of the library: values in the order of its items, and what failed.

Results are read some children at a time, so that a million rows are never held at once. They are
taken as the plain data that they travelled as: what is to be written needs no classes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import click

from tidemill.sdk import client, codec, reference
from tidemill.sdk import result as results
from tidemill.sdk.codec import Encoded
from tidemill.sdk.run import MapRun
from tidemill.sdk.watch import ENDED

AT_ONCE: Final = 64


class Outcome:
    """A run that has ended, or the part of one that has."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._is_map = isinstance(handle, MapRun)
        place = handle.upstream()
        self._url: str = place["results"]
        self._reference: str = place["of"]
        self._index: int | None = place.get("index")
        self._is_chunk = self._is_map or bool(place.get("is_chunk"))
        self.id: str = handle.id
        self.status: str = handle.status

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDED

    def values(self) -> Iterator[Any]:
        """What came of each item, in the items' order, without those that failed."""
        connection = client.current()
        named = results.listed(connection, self._url, self._index)
        # One that was ended in its last moment may have left a result, and failed all the same.
        names = (named[index] for index in sorted(named) if index not in self._failed_children)
        while batch := list(islice(names, AT_ONCE)):
            for encoded in results.load(connection, self._url, batch).values():
                if encoded.kind != results.EXCEPTION:
                    value = self._decoded(encoded)
                    yield from value if self._is_chunk else [value]

    def _decoded(self, encoded: Encoded) -> Any:
        if encoded.kind != codec.JSON:  # a pickle wants its classes
            try:
                reference.adopt(reference.load(self._reference).__module__)
            except (Exception, SystemExit) as error:
                raise click.ClickException(
                    f"Its results are pickled, and {self._reference.rpartition(':')[0]}, which has "
                    f"their classes, can't be imported here: {type(error).__name__}: {error}."
                ) from error
        return codec.decode(encoded)

    def failures(self) -> list[str]:
        """A sentence for each job that failed, with the numbers of its rows, counted from 1."""
        if not self._is_map:
            return [] if self.status == "SUCCEEDED" else [self._single()]
        return [_told(failure) for failure in self._failures]

    @property
    def failed_rows(self) -> int:
        """How many rows have no result: those whose job failed."""
        if not self._is_map:
            return 0 if self.status == "SUCCEEDED" else 1
        return sum(len(failure.items) for failure in self._failures)

    @functools.cached_property
    def _failures(self) -> list[Any]:
        return list(self._handle.failures()) if self._is_map else []

    @functools.cached_property
    def _failed_children(self) -> set[int]:
        chunk = self._handle.grain[1] if self._is_map else 1
        return {failure.items.start // chunk for failure in self._failures}

    def _single(self) -> str:
        try:
            self._handle.result()
        except Exception as error:  # noqa: BLE001 - the function's own, whatever it is
            return in_words(error)
        return str(self._handle.why)


def _told(failure: Any) -> str:
    row, rows = failure.index + 1, failure.items
    told = f"Row {row}: {in_words(failure.error)}"
    if len(rows) > 1:
        told += f" (rows {rows.start + 1} to {rows.stop} are one job, and failed with it)"
    return told


def in_words(error: Exception) -> str:
    """An exception as its type and its words; one of the library's own has words that say all."""
    kind, words = type(error).__name__, str(error).strip()
    if kind in ("JobFailed", "RemoteException") and words:
        return words.removeprefix("builtins.")
    return f"{kind}: {words}" if words else kind
