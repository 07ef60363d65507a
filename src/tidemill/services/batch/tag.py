"""Tags: which are allowed, and what adding and removing them leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tidemill.services.batch.error import Refused

TAGS_MAX: Final = 50
ENGINE_TAG: Final = "tidemill:engine"
"""The tag by which a compute environment chooses its engine."""


def checked(tags: Mapping[str, str] | None) -> dict[str, str]:
    """`tags` as a dict of their own, or a refusal that names the tag that is wrong."""
    if not tags:
        return {}
    if len(tags) > TAGS_MAX:
        raise Refused(f"tags: at most {TAGS_MAX} tags are allowed; got {len(tags)}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128:
            raise Refused(f"tags: a key has 1 to 128 characters; got {key[:150]!r}.")
        if key.lower().startswith("aws:"):
            raise Refused(f"tags: {key!r} begins with 'aws:', which is reserved for AWS.")
        if len(value) > 256:
            raise Refused(f"tags: the value of {key!r} is longer than 256 characters.")
    return dict(tags)


def added(present: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """`present` with `tags` over it."""
    after = {**present, **checked(tags)}
    if len(after) > TAGS_MAX:
        raise Refused(f"tags: at most {TAGS_MAX} tags are allowed; this would make {len(after)}.")
    return after


def removed(present: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """`present` without `keys`; those that aren't there don't matter."""
    gone = set(keys)
    return {key: value for key, value in present.items() if key not in gone}
