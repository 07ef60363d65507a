"""What a request can do wrong on the wire: the one exception, and how a codec names the place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill.wire.route import Route

_SHOWN_CHARACTERS = 200


class WireError(Exception):
    """A request that cannot be served as it was sent; always answered with a 4xx.

    `code` is AWS's error code, `message` one sentence that names the member and what would be
    right. `members` are further members of the error (S3's `Region`). `route` says in which
    protocol to answer where the operation itself could not be found.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        members: Mapping[str, Any] | None = None,
        route: Route | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.members: Mapping[str, Any] = members or {}
        self.route = route

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Mismatch(Exception):
    """A value of the wrong kind; containers add where it stood while it passes through them."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(found, wanted)
        self._found = found
        self._wanted = wanted
        self._steps: list[str] = []

    def within(self, step: str) -> Mismatch:
        """Say that the value stood in `step`: a member's name, or an item's place."""
        self._steps.append(step)
        return self

    def __str__(self) -> str:
        place = f" at '{render_path(reversed(self._steps))}'" if self._steps else ""
        return f"{self._found}{place} can not be converted to {self._wanted}"


def unfit(value: object, wanted: str) -> Mismatch:
    """The mismatch of a decoded value, in the words AWS's services use for it."""
    return Mismatch(_kind(value), wanted)


def unreadable(text: str, wanted: str) -> Mismatch:
    """The mismatch of a text, from a header, a path, a query string, a form or XML."""
    return Mismatch(f"Value '{shorten(text)}'", wanted)


def shorten(text: str) -> str:
    """As much of a client's text as an error message repeats."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def render_path(steps: Iterable[str]) -> str:
    """`tags.1.member.key`: members begin in lower case, as AWS's messages have them."""
    return ".".join(step[:1].lower() + step[1:] for step in steps)


def item_step(number: int) -> str:
    """The place of a list's item, counted from 1."""
    return f"{number}.member"


def _kind(value: object) -> str:
    match value:
        case None:
            return "NULL_VALUE"
        case bool():
            return "TRUE_VALUE" if value else "FALSE_VALUE"
        case str():
            return "STRING_VALUE"
        case int() | float():
            return "NUMBER_VALUE"
        case bytes():
            return "BLOB_VALUE"
        case list() | tuple():
            return "LIST_VALUE"
        case dict():
            return "STRUCTURE_VALUE"
        case _:
            return f"{type(value).__name__.upper()}_VALUE"
