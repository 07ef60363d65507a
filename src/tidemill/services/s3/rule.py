"""Lifecycle rules: which objects they are about, and when those have had their time.

Pure. Ages are counted as AWS counts them: the days of a rule after the moment that an object was
made, then on to the next midnight UTC (S3 User Guide, "Lifecycle rules: Based on an object's
age"). So within one day nothing becomes due that was not due at its first moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Of `days` and `date_ms` at most one says when objects expire."""

    id: str
    is_enabled: bool
    prefix: bytes = b""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int | None = None
    date_ms: int | None = None
    abort_days: int | None = None

    @property
    def expires_objects(self) -> bool:
        """Whether objects expire by this rule."""
        return self.is_enabled and (self.days is not None or self.date_ms is not None)

    @property
    def aborts_uploads(self) -> bool:
        """Whether multipart uploads that nobody ends are aborted by this rule."""
        return self.is_enabled and self.abort_days is not None

    def covers(self, key: bytes, size: int, tags: Mapping[str, str]) -> bool:
        """Whether the rule is about an object; both bounds of its size are exclusive."""
        return (
            key.startswith(self.prefix)
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
            and all(tags.get(name) == value for name, value in self.tags.items())
        )


@dataclass(frozen=True, slots=True)
class Due:
    """When something has had its time, and by which rule; the earliest where several say so."""

    at_ms: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A bucket's rules; `said` are they as members of S3, and what clients are told of them."""

    said: Mapping[str, Any]
    rules: tuple[Rule, ...]

    def expiry(self, key: bytes, size: int, tags: Mapping[str, str], made_ms: int) -> Due | None:
        """When an object expires; None where no rule says that it does."""
        return _earliest(
            Due(_day_after(made_ms, rule.days) if rule.date_ms is None else rule.date_ms, rule.id)
            for rule in self.rules
            if rule.expires_objects and rule.covers(key, size, tags)
        )

    def abortion(self, key: bytes, begun_ms: int) -> Due | None:
        """When a multipart upload is aborted; None where no rule says that it is."""
        return _earliest(
            Due(_day_after(begun_ms, rule.abort_days), rule.id)
            for rule in self.rules
            if rule.aborts_uploads and key.startswith(rule.prefix)
        )

    @property
    def object_prefixes(self) -> list[bytes]:
        """The prefixes of all objects that may expire, none of them within another."""
        return _outermost(rule.prefix for rule in self.rules if rule.expires_objects)

    @property
    def upload_prefixes(self) -> list[bytes]:
        """The prefixes of all uploads that may be aborted, none of them within another."""
        return _outermost(rule.prefix for rule in self.rules if rule.aborts_uploads)


def read_lifecycle(said: Mapping[str, Any]) -> Lifecycle:
    """The rules that `said` describes: checked, with dates as seconds since 1970."""
    return Lifecycle(said, tuple(_read(rule) for rule in said["Rules"]))


def predicates(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule's Prefix, Tags and sizes, wherever they stand in it."""
    chosen: Mapping[str, Any] = rule.get("Filter") or {}
    inner: Mapping[str, Any] = chosen.get("And") or chosen
    found = {**inner, "Prefix": inner.get("Prefix") or rule.get("Prefix") or ""}
    if "Tag" in inner:
        found["Tags"] = [found.pop("Tag")]
    return found


def _read(rule: Mapping[str, Any]) -> Rule:
    about, expiration = predicates(rule), rule.get("Expiration") or {}
    date_s = expiration.get("Date")
    return Rule(
        id=rule["ID"],
        is_enabled=rule["Status"] == "Enabled",
        prefix=about["Prefix"].encode(),
        tags={tag["Key"]: tag["Value"] for tag in about.get("Tags", ())},
        larger_than=about.get("ObjectSizeGreaterThan"),
        smaller_than=about.get("ObjectSizeLessThan"),
        days=expiration.get("Days"),
        date_ms=None if date_s is None else date_s * 1000,
        abort_days=(rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation"),
    )


def _day_after(moment_ms: int, days: int | None) -> int:
    """The first midnight UTC that is more than `days` after a moment."""
    assert days is not None
    return (moment_ms // DAY_MS + days + 1) * DAY_MS


def _earliest(dues: Iterable[Due]) -> Due | None:
    return min(dues, key=lambda due: due.at_ms, default=None)


def _outermost(prefixes: Iterable[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for prefix in sorted(set(prefixes)):
        if not found or not prefix.startswith(found[-1]):
            found.append(prefix)
    return found
