"""What every Logs operation works with: the log store's reader in a thread, and the groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tidemill.platform.arn import Arn
from tidemill.platform.clock import Clock
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.log_reader import LogReader
from tidemill.platform.log_stream import StreamInfo
from tidemill.platform.worker import Worker
from tidemill.services.logs.store import Group

Params = Mapping[str, Any]

_GROUP_RESOURCE: Final = "log-group:"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listing:
    """The sorted streams of a group, as they were when a list's first page was asked for.

    A key is the time of the last event, or 0 where the order is by name, and the name.
    """

    query: tuple[str, str, bool]
    keys: list[tuple[int, str]]


@dataclass(slots=True, kw_only=True)
class Context:
    """The parts of one Logs service.

    The reader has one thread, and whatever takes long gives it back after each step. `groups` and
    `deleted` mirror the database: both are few. `listing` is the newest of those that have more
    than a page, kept for a minute.
    """

    reader: LogReader
    committer: Committer
    clock: Clock
    account: str
    region: str
    keep_ms: int
    worker: Worker = field(default_factory=lambda: Worker("logs-read"))
    groups: dict[str, Group] = field(default_factory=dict)
    deleted: set[tuple[str, str]] = field(default_factory=set)
    listing: Listing | None = None

    @property
    def now_ms(self) -> int:
        """The wall time."""
        return self.clock.now().wall_ms

    async def read(self, work: Callable[[LogReader], _T]) -> _T:
        """Have the reader's thread do one step of `work`."""
        return await self.worker.call(lambda: work(self.reader))

    async def stream(self, group: str, name: str) -> StreamInfo | None:
        """A stream that exists and is not deleted."""
        if self.is_deleted(group, name):
            return None
        return await self.read(lambda reader: reader.stream(group, name))

    async def expire(self, group: str, before_ms: int, limit: int) -> int:
        """Remove up to `limit` minutes of a group's output from before a moment; how many."""
        return await self.read(lambda reader: reader.expire(group, before_ms, limit=limit))

    def group_arn(self, name: str) -> str:
        """The group's ARN, without the `:*` that some of AWS's answers add."""
        return str(Arn("logs", self.region, self.account, _GROUP_RESOURCE + name))

    def stream_arn(self, group: str, stream: str) -> str:
        """The stream's ARN."""
        return f"{self.group_arn(group)}:log-stream:{stream}"

    async def group(self, name: str) -> Group:
        """The group, which exists when it was made, or has output."""
        if (known := self.groups.get(name)) is not None:
            return known
        if (found := await self._by_output(name)) is None:
            raise no_such("group")
        return found

    async def all_groups(self) -> list[Group]:
        """Every group, by name."""
        names = set(await self.read(lambda reader: reader.groups())) - self.groups.keys()
        found = list(self.groups.values())
        for name in names:
            if (group := await self._by_output(name)) is not None:
                found.append(group)
        return sorted(found, key=lambda group: group.name)

    async def _by_output(self, name: str) -> Group | None:
        first = await self.read(lambda reader: next(reader.streams(name), None))
        return Group(name=name, created_ms=first.created_ms) if first is not None else None

    def is_deleted(self, group: str, stream: str) -> bool:
        """Whether a stream was deleted, though its output may still be there."""
        return bool(self.deleted) and (group, stream) in self.deleted


def group_name(params: Params) -> str:
    """The group that a call names, by its name or by an identifier that may be an ARN."""
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
    return str(name) if identifier is None else name_of(identifier)


def name_of(identifier: str) -> str:
    """A group's name from its name or ARN."""
    if (arn := Arn.parse(identifier)) is None:
        return identifier
    if arn.service != "logs" or not arn.resource.startswith(_GROUP_RESOURCE):
        raise invalid(f"{identifier!r} is not the ARN of a log group.")
    return arn.resource.removeprefix(_GROUP_RESOURCE).removesuffix(":*")


def no_such(kind: str) -> Fault:
    """The refusal of a group or stream that does not exist."""
    return Fault("ResourceNotFoundException", f"The specified log {kind} does not exist.")


def invalid(message: str) -> Fault:
    """The refusal of what a call says."""
    return Fault("InvalidParameterException", message)
