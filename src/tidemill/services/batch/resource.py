"""Queues, environments, policies and consumables, by name; and which of them changed.

Every change goes through `put` and `drop`, so that nothing is changed that isn't written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tidemill.services.batch.consumable import Consumable
from tidemill.services.batch.environment import Environment
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.policy import Policy
from tidemill.services.batch.queue import Queue

Thing = Queue | Environment | Policy | Consumable

_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.QUEUE: Queue,
    Kind.ENVIRONMENT: Environment,
    Kind.POLICY: Policy,
    Kind.CONSUMABLE: Consumable,
}
_AWS_NAMES: Final[Mapping[Kind, str]] = {
    Kind.QUEUE: "JobQueue",
    Kind.ENVIRONMENT: "ComputeEnvironment",
    Kind.POLICY: "SchedulingPolicy",
    Kind.CONSUMABLE: "ConsumableResource",
}
_FOUNDED: Final = "founded"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Touched:
    """Names of what changed, or is gone: the scheduler must be told."""

    environments: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    consumables: set[str] = field(default_factory=set)


class Resources:
    """All of one account in one region; `founded` names what starts have made of their own."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.queues: dict[str, Queue] = {}
        self.environments: dict[str, Environment] = {}
        self.policies: dict[str, Policy] = {}
        self.consumables: dict[str, Consumable] = {}
        self.founded: set[str] = set()
        self._of: dict[Kind, dict[str, Any]] = {
            Kind.QUEUE: self.queues,
            Kind.ENVIRONMENT: self.environments,
            Kind.POLICY: self.policies,
            Kind.CONSUMABLE: self.consumables,
        }
        self._changed: dict[tuple[str, str], bytes | None] = {}
        self._touched = Touched()

    def restore(self, stored: Iterable[tuple[str, str, bytes]]) -> None:
        """Take in (kind, name, document) from the database; all of it counts as touched."""
        for kind, name, body in stored:
            if kind == _FOUNDED:
                self.founded.add(name)
            else:
                self._of[Kind(kind)][name] = msgspec.json.decode(body, type=_TYPES[Kind(kind)])
                self._touch(Kind(kind), name)

    def mark_founded(self, name: str) -> None:
        """Remember for good that a start has made what goes by `name`."""
        self.founded.add(name)
        self._changed[_FOUNDED, name] = b"{}"

    def put(self, kind: Kind, thing: Thing) -> None:
        """Keep `thing`, instead of what had its name."""
        if self._of[kind].get(thing.name) == thing:
            return
        self._of[kind][thing.name] = thing
        self._changed[kind.value, thing.name] = _encode(thing)
        self._touch(kind, thing.name)

    def put_untouched(self, spent: Consumable) -> None:
        """Keep a consumable whose new total the scheduler knows already."""
        self.consumables[spent.name] = spent
        self._changed[Kind.CONSUMABLE.value, spent.name] = _encode(spent)

    def drop(self, kind: Kind, name: str) -> None:
        """Let it go."""
        if self._of[kind].pop(name, None) is not None:
            self._changed[kind.value, name] = None
            self._touch(kind, name)

    def all_of(self, kind: Kind) -> Mapping[str, Any]:
        """All things of a kind, by name."""
        return self._of[kind]

    def existing(self, kind: Kind, text: str, member: str) -> Any:
        """The thing that a name or an ARN stands for; refuses what there is not."""
        name = self.names.plain(kind, text, member)
        found = self._of[kind].get(name)
        if found is None:
            raise Refused(f"{member}: {_AWS_NAMES[kind]} {text[:200]} not found.")
        return found

    def changeable(self, kind: Kind, text: str, member: str) -> Any:
        """The same, unless it is being deleted."""
        found = self.existing(kind, text, member)
        if found.deleting:
            raise Refused(f"{member}: {_AWS_NAMES[kind]} {found.name} is being deleted.")
        return found

    def check_free(self, kind: Kind, name: str, maximum: int | None = None) -> None:
        """Refuse a name that is taken, and more of a kind than there may be."""
        if name in self._of[kind]:
            raise Refused(f"Object already exists: {_AWS_NAMES[kind]} {name}.")
        if maximum is not None and len(self._of[kind]) >= maximum:
            raise Refused(
                f"There are {maximum} {_AWS_NAMES[kind]}s, as many as allowed; delete one first."
            )

    def listed(self, kind: Kind, texts: Iterable[str], member: str) -> list[Any]:
        """Those of these names and ARNs that there are, each once, in the order given."""
        names = dict.fromkeys(self.names.plain(kind, text, member) for text in texts)
        return [self._of[kind][name] for name in names if name in self._of[kind]]

    def take_changed(self) -> dict[tuple[str, str], bytes | None]:
        """Documents to write since this was called last; None stands for one that goes."""
        changed, self._changed = self._changed, {}
        return changed

    def take_touched(self) -> Touched:
        """Names to tell the scheduler of since this was called last."""
        touched, self._touched = self._touched, Touched()
        return touched

    def touch_queues_of(self, policy: str) -> None:
        """A policy changed: its queues are to be looked at anew."""
        self._touched.queues.update(q.name for q in self.queues.values() if q.policy == policy)

    def _touch(self, kind: Kind, name: str) -> None:
        match kind:
            case Kind.QUEUE:
                self._touched.queues.add(name)
            case Kind.ENVIRONMENT:
                self._touched.environments.add(name)
            case Kind.CONSUMABLE:
                self._touched.consumables.add(name)
            case Kind.POLICY:
                self.touch_queues_of(name)
            case _:
                raise AssertionError(kind)
