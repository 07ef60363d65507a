"""Pages of a list: how many at once, and the token that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tidemill.services.batch.error import Refused

PAGE_MAX: Final = 100
_NUMBER_MAX: Final = 2**62


def size(params: Mapping[str, Any], maximum: int = PAGE_MAX) -> int:
    """How many results a page has: `maxResults`, at most `maximum`, which is the default."""
    asked = params.get("maxResults")
    if asked is None:
        return maximum
    if asked < 1:
        raise Refused(f"maxResults should be from 1 to {maximum}; got {asked}.")
    return min(int(asked), maximum)


def token(kind: str, *place: str | int) -> str:
    """The token of the page of `kind` after `place`."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *place])).decode()


def place(params: Mapping[str, Any], kind: str, *start: str | int) -> tuple[Any, ...]:
    """The place that `nextToken` stands for, `start` without one.

    The token must be of the same kind and its parts of the same types as those of `start`.
    """
    text = params.get("nextToken")
    if not text:
        return start
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()))
    except (binascii.Error, ValueError, UnicodeEncodeError):
        found = None
    if (
        not isinstance(found, list)
        or found[:1] != [kind]
        or [type(part) for part in found[1:]] != [type(part) for part in start]
        or any(isinstance(part, int) and not -1 <= part <= _NUMBER_MAX for part in found[1:])
    ):
        raise Refused("nextToken is not valid here: give the one that this operation returned.")
    return tuple(found[1:])
