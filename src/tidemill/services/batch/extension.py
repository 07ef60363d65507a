"""What SubmitJob can say here and not on AWS, as tags that AWS ignores; and what it comes to.

    tidemill:delay        90      may not start before 90 s have passed since its submission
    tidemill:backoff      2:60    waits about 2 s before its first retry, then 4, 8, at most 60
    tidemill:interrupted  75      runs again after exit code 75, which counts as no attempt

They are read when a job is submitted; what becomes of its tags later changes nothing. Without
them nothing differs from AWS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidemill.services.batch.error import Refused

DELAY_TAG: Final = "tidemill:delay"
BACKOFF_TAG: Final = "tidemill:backoff"
INTERRUPTED_TAG: Final = "tidemill:interrupted"
SECONDS_MAX: Final = 30 * 24 * 3600
INTERRUPTIONS_MAX: Final = 100
"""How many attempts of a job, or child, may end interrupted without being counted."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait before the first retry, which doubles with each further one up to `longest_ms`."""

    first_ms: int
    longest_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What a job's tags ask for; `interrupted` is an exit code."""

    delay_ms: int = 0
    backoff: Backoff | None = None
    interrupted: int | None = None


def stated(tags: Mapping[str, str]) -> Extension | None:
    """What `tags` ask for, or None; refuses a value that can't be meant."""
    delay, backoff = tags.get(DELAY_TAG), tags.get(BACKOFF_TAG)
    interrupted = tags.get(INTERRUPTED_TAG)
    if delay is None and backoff is None and interrupted is None:
        return None
    return Extension(
        delay_ms=0 if delay is None else _delay_ms(delay),
        backoff=None if backoff is None else _backoff(backoff),
        interrupted=None if interrupted is None else _exit_code(interrupted),
    )


def backoff_ms(backoff: Backoff, retry: int, attempt_id: str) -> int:
    """How long to wait before retry number `retry`, from 1: at least half of it, by chance.

    The chance is the id of the attempt that failed, which no two share. So the wait is the same
    whenever it is worked out, and needs no place in the database.
    """
    full_ms = min(backoff.longest_ms, backoff.first_ms << min(retry - 1, 64))
    half_ms = full_ms // 2
    digest = hashlib.sha256(attempt_id.encode()).digest()
    return half_ms + int.from_bytes(digest[:8], "big") % (full_ms - half_ms + 1)


def interruptions(extension: Extension | None, exit_codes: Sequence[int | None]) -> int:
    """How many of the attempts that ended with these codes do not count."""
    if extension is None or extension.interrupted is None:
        return 0
    return min(INTERRUPTIONS_MAX, exit_codes.count(extension.interrupted))


def _delay_ms(text: str) -> int:
    delay_ms = _milliseconds(text)
    if delay_ms is None:
        raise Refused(
            f"tags: {DELAY_TAG} should be seconds, as 90 or 0.5, up to {SECONDS_MAX} (30 days); "
            f"got {text[:50]!r}."
        )
    return delay_ms


def _backoff(text: str) -> Backoff:
    first, _, longest = text.partition(":")
    first_ms, longest_ms = _milliseconds(first), _milliseconds(longest)
    if not first_ms or not longest_ms or first_ms > longest_ms:
        raise Refused(
            f"tags: {BACKOFF_TAG} should be the first and the longest wait in seconds, as 2:60, "
            f"more than 0 and up to {SECONDS_MAX} (30 days), the first not above the longest; "
            f"got {text[:50]!r}."
        )
    return Backoff(first_ms, longest_ms)


def _exit_code(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 255:
        raise Refused(
            f"tags: {INTERRUPTED_TAG} should be an exit code from 1 to 255, as 75; "
            f"got {text[:50]!r}."
        )
    return int(text)


def _milliseconds(text: str) -> int | None:
    if not _SECONDS.fullmatch(text) or float(text) > SECONDS_MAX:
        return None
    return round(float(text) * 1000)
