"""Where a reader of logs is, as the opaque tokens of AWS's paging and the ids of events."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidemill.platform.fault import Fault

_POSITION: Final = re.compile(r"([fb])/(\d{56})/s")
_FORWARD, _BACKWARD = "f", "b"


class Place(NamedTuple):
    """An event among those of many streams; places sort as FilterLogEvents lists events."""

    at_ms: int
    stream: str
    position: int


@dataclass(frozen=True, slots=True)
class Resume:
    """A search goes on behind `place`, towards later events where it goes `forward`."""

    place: Place
    forward: bool


def write_position(position: int, *, forward: bool) -> str:
    """GetLogEvents' token for what lies behind or before a byte of a stream."""
    return f"{_FORWARD if forward else _BACKWARD}/{position:056d}/s"


def read_position(token: str) -> tuple[int, bool]:
    """The byte and the direction of such a token."""
    if (match := _POSITION.fullmatch(token)) is None or int(match[2]) >= 1 << 63:
        raise bad_token()
    return int(match[2]), match[1] == _FORWARD


def write_resume(resume: Resume) -> str:
    """FilterLogEvents' token."""
    at_ms, stream, position = resume.place
    direction = _FORWARD if resume.forward else _BACKWARD
    return write_text(f"{direction} {at_ms} {position} {stream}")


def read_resume(token: str) -> Resume:
    """Where such a token goes on."""
    direction, *numbers, stream = [*read_text(token).split(" ", 3), "", "", ""][:4]
    if direction not in (_FORWARD, _BACKWARD) or not all(map(_is_number, numbers)):
        raise bad_token()
    at_ms, position = map(int, numbers)
    return Resume(Place(at_ms, stream, position), direction == _FORWARD)


def write_text(text: str) -> str:
    """A token that holds a text, as the lists' tokens do."""
    return base64.urlsafe_b64encode(text.encode()).decode("ascii")


def read_text(token: str) -> str:
    """The text of such a token."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise bad_token() from None


def event_id(place: Place) -> str:
    """56 digits that name an event for ever: clients tell by them what they have seen."""
    digest = hashlib.blake2b(f"{place.position} {place.stream}".encode(), digest_size=16)
    return f"{place.at_ms:015d}{int.from_bytes(digest.digest(), 'big'):039d}".zfill(56)


def bad_token() -> Fault:
    """The refusal of a token that no answer ever gave."""
    return Fault("InvalidParameterException", "The specified nextToken is invalid.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
