"""The catalogue of job definitions: names, their revisions, and which of those may be used.

Bodies are kept as JSON bytes, so that tens of thousands of definitions stay small.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.platform.limit import Limits
from tidemill.services.batch import definition, size
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind, Names, split_revision

INACTIVE_KEPT_MS: Final = 180 * 24 * 3_600_000
"""AWS deletes a deregistered definition after 180 days."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision; `ended_ms` says when it was deregistered."""

    name: str
    number: int
    body: bytes
    ended_ms: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether new jobs may use it."""
        return self.ended_ms is None


@dataclass(slots=True)
class _Family:
    """All revisions of one name; `last` is the highest number that was ever given."""

    last: int = 0
    newest_active: int | None = None
    revisions: dict[int, Revision] = field(default_factory=dict)


class Catalogue:
    """Every registered definition. A number is never given twice under one name."""

    def __init__(self, names: Names, limits: Limits) -> None:
        self._names = names
        self._limits = limits
        self._families: dict[str, _Family] = {}
        self._sorted: list[str] = []
        self._ended: deque[Revision] = deque()
        self._changed: dict[tuple[str, int], Revision | None] = {}

    def restore(self, revisions: Iterable[Revision]) -> None:
        """Take in what the database holds."""
        for revision in revisions:
            self._put(revision)
        ended = (r for f in self._families.values() for r in f.revisions.values() if r.ended_ms)
        self._ended = deque(sorted(ended, key=lambda r: r.ended_ms or 0))
        self._changed.clear()

    def take_changed(self) -> dict[tuple[str, int], Revision | None]:
        """Revisions to write since this was called last; None stands for one that goes."""
        changed, self._changed = self._changed, {}
        return changed

    def register(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out RegisterJobDefinition: a new revision, whatever it says."""
        size.check_definition(params, self._limits)
        body = definition.encode(definition.checked(params, self._limits))
        name = params["jobDefinitionName"]
        family = self._families.get(name)
        revision = Revision(name, 1 if family is None else family.last + 1, body)
        self._put(revision)
        return {
            "jobDefinitionName": name,
            "jobDefinitionArn": self.arn(revision),
            "revision": revision.number,
        }

    def deregister(self, text: str, wall_ms: int) -> None:
        """Carry out DeregisterJobDefinition, and forget what was deregistered long ago."""
        name, number = self._split(text)
        if number is None:
            raise Refused(
                f"jobDefinition must have a revision (name:revision); got {name}. "
                "Revisions are deregistered one by one."
            )
        revision = self._existing(name, number)
        if revision.is_active:
            ended = Revision(name, number, revision.body, wall_ms)
            self._put(ended)
            self._ended.append(ended)
        self._forget_old(wall_ms)

    def usable(self, text: str) -> Revision:
        """The ACTIVE revision that a submission names: the newest where it names none."""
        name, number = self._split(text)
        family = self._families.get(name)
        if family is None or (number is not None and number not in family.revisions):
            raise Refused(f"JobDefinition {text[:200]} not found. Register it first.")
        if number is None:
            number = family.newest_active
        if number is None or not family.revisions[number].is_active:
            raise Refused(
                f"JobDefinition {text[:200]} is not ACTIVE: it was deregistered. "
                "Register another revision."
            )
        return family.revisions[number]

    def get(self, name_revision: str) -> Revision:
        """The revision of a full name (`name:3`), ACTIVE or not."""
        name, number = split_revision(name_revision, "resourceArn")
        return self._existing(name, number or 0)

    def replace_body(self, revision: Revision, body: bytes) -> None:
        """Give a revision other tags, which stand in its body."""
        after = Revision(revision.name, revision.number, body, revision.ended_ms)
        self._put(after)
        if not after.is_active:
            self._ended = deque(after if r is revision else r for r in self._ended)

    def named(self, texts: Iterable[str]) -> list[Revision]:
        """The revisions of these names and ARNs; a bare name means all of it."""
        found: dict[tuple[str, int], Revision] = {}
        for text in texts:
            name, number = self._split(text)
            family = self._families.get(name)
            if family is None:
                continue
            wanted = sorted(family.revisions, reverse=True) if number is None else (number,)
            for each in wanted:
                if each in family.revisions:
                    found[name, each] = family.revisions[each]
        return list(found.values())

    def after(self, name: str, number: int) -> Iterator[Revision]:
        """All revisions by name, the newest first within one, beyond the place given."""
        at = bisect_left(self._sorted, name)
        for other in self._sorted[at:]:
            revisions = self._families[other].revisions
            for each in sorted(revisions, reverse=True):
                if other != name or each < number:
                    yield revisions[each]

    def of_name(self, name: str) -> list[Revision]:
        """All revisions of one name, the newest first."""
        family = self._families.get(name)
        revisions = {} if family is None else family.revisions
        return [revisions[number] for number in sorted(revisions, reverse=True)]

    def arn(self, revision: Revision) -> str:
        """The ARN of a revision."""
        return self._names.arn(Kind.DEFINITION, f"{revision.name}:{revision.number}")

    def described(self, revision: Revision) -> dict[str, Any]:
        """A revision as DescribeJobDefinitions shows it."""
        return definition.described(
            revision.name,
            revision.number,
            revision.is_active,
            self.arn(revision),
            revision.body,
        )

    def _split(self, text: str) -> tuple[str, int | None]:
        plain = self._names.plain(Kind.DEFINITION, text, "jobDefinition")
        return split_revision(plain, "jobDefinition")

    def _existing(self, name: str, number: int) -> Revision:
        family = self._families.get(name)
        revision = None if family is None else family.revisions.get(number)
        if revision is None:
            raise Refused(f"JobDefinition {name}:{number} not found.")
        return revision

    def _put(self, revision: Revision) -> None:
        family = self._families.get(revision.name)
        if family is None:
            family = self._families[revision.name] = _Family()
            insort(self._sorted, revision.name)
        family.revisions[revision.number] = revision
        family.last = max(family.last, revision.number)
        if revision.is_active:
            family.newest_active = max(family.newest_active or 0, revision.number)
        elif family.newest_active == revision.number:
            active = [number for number, r in family.revisions.items() if r.is_active]
            family.newest_active = max(active, default=None)
        self._changed[revision.name, revision.number] = revision

    def _forget_old(self, wall_ms: int) -> None:
        """Drop what was deregistered 180 days ago, but for the last of a name: it keeps count."""
        while self._ended and (self._ended[0].ended_ms or 0) < wall_ms - INACTIVE_KEPT_MS:
            old = self._ended.popleft()
            family = self._families[old.name]
            if old.number != family.last:
                del family.revisions[old.number]
                self._changed[old.name, old.number] = None
