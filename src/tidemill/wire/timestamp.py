"""The three forms of a timestamp: Unix seconds, ISO 8601 and RFC 822; read leniently, written
exactly.

A reader takes any of the three wherever a timestamp stands, as AWS's services do. What it gives is
an aware datetime in UTC. A writer takes a datetime, or a number of seconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from tidemill.wire.error import unfit, unreadable

WANTED: Final = "a Timestamp (Unix seconds, ISO 8601 or RFC 822)"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_DAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?|[0-9]{8}T[0-9]{6}Z"
)
_RFC822: Final = re.compile(
    r"(?:[A-Za-z]{3,9}, *)?([0-9]{1,2})[ -]([A-Za-z]{3})[ -]([0-9]{4}|[0-9]{2}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)? *(GMT|UTC|Z|[+-][0-9]{4})?"
)


def from_number(value: float) -> datetime:
    """The time `value` seconds after 1970; Mismatch when the calendar does not reach there."""
    try:
        if type(value) is int:
            return EPOCH + timedelta(seconds=value)
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise unfit(value, WANTED) from None


def from_text(text: str) -> datetime:
    """The time that `text` states, in whichever of the three forms it is."""
    text = text.strip()
    try:
        if _ISO.fullmatch(text):
            moment = datetime.fromisoformat(text.upper().replace(",", "."))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        if _NUMBER.fullmatch(text):
            return from_number(float(text) if not text.lstrip("+-").isdigit() else int(text))
        if (match := _RFC822.fullmatch(text)) is not None:
            return _from_rfc822(match)
    except (OverflowError, ValueError):
        pass
    raise unreadable(text, WANTED)


def _from_rfc822(match: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, fraction, zone = match.groups()
    years = int(year)
    if len(year) == 2:
        years += 1900 if years >= 69 else 2000
    offset = timedelta(0)
    if zone and zone[0] in "+-":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        offset = -offset if zone[0] == "-" else offset
    moment = datetime(
        years,
        _MONTHS.index(month.capitalize()) + 1,
        int(day),
        int(hour),
        int(minute),
        int(second),
        int(float(fraction or 0) * 1_000_000),
        tzinfo=timezone(offset),
    )
    return moment.astimezone(UTC)


def to_moment(value: Any) -> datetime:
    """What a service handed over as a time, as an aware datetime in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    raise TypeError(f"a timestamp is a datetime or Unix seconds, not {type(value).__name__}")


def to_number(value: Any) -> float:
    """Unix seconds: an int where the time is whole, so that it is written without a fraction."""
    if not isinstance(value, datetime):
        value = to_moment(value)
    elif value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    microseconds = (value - EPOCH) // timedelta(microseconds=1)
    whole, rest = divmod(microseconds, 1_000_000)
    return float(microseconds / 1_000_000) if rest else int(whole)


def to_iso8601(value: Any) -> str:
    """`2024-05-01T12:00:00Z`, with milliseconds or microseconds where there are any."""
    moment = to_moment(value)
    text = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    if moment.microsecond:
        fraction = f"{moment.microsecond:06d}"
        text += "." + (fraction[:3] if fraction.endswith("000") else fraction)
    return text + "Z"


def to_rfc822(value: Any) -> str:
    """`Wed, 01 May 2024 12:00:00 GMT`."""
    at = to_moment(value)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} GMT"
    )


def to_unix_text(value: Any) -> str:
    """Unix seconds as text."""
    return str(to_number(value))


TEXT_WRITERS: Final[dict[str, Callable[[Any], str]]] = {
    "iso8601": to_iso8601,
    "rfc822": to_rfc822,
    "unixtimestamp": to_unix_text,
}


def text_writer(timestamp_format: str) -> Callable[[Any], str]:
    """The writer for a model's `timestampFormat`."""
    return TEXT_WRITERS[timestamp_format.lower()]
