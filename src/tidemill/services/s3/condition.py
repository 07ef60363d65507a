"""Conditional requests: whether what a caller knows of an object still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.platform.fault import Fault


@dataclass(frozen=True, slots=True)
class Known:
    """What conditions are held against: an object's tag and the second it was written."""

    etag: str
    modified_ms: int

    @property
    def modified_s(self) -> int:
        """Whole seconds: more than HTTP's dates hold is never compared."""
        return self.modified_ms // 1000


def check_read(params: Mapping[str, Any], known: Known) -> None:
    """Let a GET or HEAD pass, or refuse it with PreconditionFailed or NotModified.

    Tags win over dates in both directions (RFC 9110, section 13.2.2; GetObject's documentation).
    """
    _check_still(params, known, "")
    if (failed := _changed_failure(params, known, "")) is not None:
        raise Fault("NotModified", "Not Modified", Condition=failed, ETag=f'"{known.etag}"')


def check_copy_source(params: Mapping[str, Any], known: Known) -> None:
    """Let a copy read its source; here every condition that fails is PreconditionFailed."""
    _check_still(params, known, "CopySource")
    if (failed := _changed_failure(params, known, "CopySource")) is not None:
        raise _failed(failed)


def check_write(params: Mapping[str, Any], known: Known | None) -> None:
    """Let a conditional PUT, copy or completion replace what is there, or nothing."""
    none_match, match = params.get("IfNoneMatch"), params.get("IfMatch")
    if none_match is not None:
        if none_match.strip() != "*":
            raise Fault(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented: "
                "If-None-Match on a write takes '*' alone.",
                Header="If-None-Match",
            )
        if known is not None:
            raise _failed("If-None-Match")
    if match is not None:
        if known is None:
            raise Fault("NoSuchKey", "The specified key does not exist.")
        if not _matches(match, known.etag):
            raise _failed("If-Match")


def check_delete(condition: str | None, known: Known | None) -> None:
    """Let a conditional delete pass; what is gone already may be deleted again."""
    if condition is not None and known is not None and not _matches(condition, known.etag):
        raise _failed("If-Match")


def is_conditional(params: Mapping[str, Any]) -> bool:
    """Whether a write depends on what it replaces."""
    return params.get("IfMatch") is not None or params.get("IfNoneMatch") is not None


def _check_still(params: Mapping[str, Any], known: Known, prefix: str) -> None:
    match = params.get(f"{prefix}IfMatch")
    since = params.get(f"{prefix}IfUnmodifiedSince")
    if match is not None:
        if not _matches(match, known.etag):
            raise _failed("If-Match")
    elif since is not None and known.modified_s > _seconds(since):
        raise _failed("If-Unmodified-Since")


def _changed_failure(params: Mapping[str, Any], known: Known, prefix: str) -> str | None:
    none_match = params.get(f"{prefix}IfNoneMatch")
    since = params.get(f"{prefix}IfModifiedSince")
    if none_match is not None:
        return "If-None-Match" if _matches(none_match, known.etag) else None
    if since is not None and known.modified_s <= _seconds(since):
        return "If-Modified-Since"
    return None


def _matches(condition: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in condition.split(",")]
    return "*" in tags or etag in tags


def _seconds(moment: datetime | float) -> int:
    return int(moment.timestamp() if isinstance(moment, datetime) else moment)


def _failed(condition: str) -> Fault:
    return Fault(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        Condition=condition,
    )
