"""Multi-node jobs: ranges of nodes, each with a container of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tidemill.services.batch import task
from tidemill.services.batch.error import Refused
from tidemill.services.batch.task import Properties

NODES_MAX: Final = 1000
_RANGE = re.compile(r"(\d{1,6})|(\d{0,6}):(\d{0,6})")


@dataclass(frozen=True, slots=True)
class NodeRange:
    """Nodes `first` to `last` (None: to the end) and what runs on them."""

    first: int
    last: int | None
    properties: Properties
    stated: Mapping[str, Any]

    def covers(self, node: int) -> bool:
        """Whether `node` is in the range."""
        return self.first <= node and (self.last is None or node <= self.last)


@dataclass(frozen=True, slots=True)
class NodeSet:
    """The nodes of a multi-node job."""

    count: int
    main: int
    ranges: tuple[NodeRange, ...]

    def range_of(self, node: int) -> NodeRange:
        """The range that says what `node` runs: the narrowest, since ranges may be nested."""
        covering = [found for found in self.ranges if found.covers(node)]
        return min(covering, key=lambda r: (self._last(r) - r.first, -r.first))

    def groups(self) -> list[tuple[int, int, NodeRange]]:
        """Runs of neighbouring nodes that share a range: (first, last, range)."""
        runs: list[tuple[int, int, NodeRange]] = []
        for node in range(self.count):
            found = self.range_of(node)
            if runs and runs[-1][2] is found:
                runs[-1] = (runs[-1][0], node, found)
            else:
                runs.append((node, node, found))
        return runs

    def _last(self, found: NodeRange) -> int:
        return self.count - 1 if found.last is None else found.last


def checked(stated: Mapping[str, Any], member: str = "nodeProperties") -> NodeSet:
    """The nodes that a definition states, or a refusal that names what is wrong."""
    count, main = stated["numNodes"], stated["mainNode"]
    _check_counts(count, main, member)
    ranges = []
    for entry in stated["nodeRangeProperties"]:
        place = f"{member}.nodeRangeProperties"
        first, last = split_range(entry["targetNodes"], f"{place}.targetNodes")
        properties = task.checked(entry, f"{place}.", container_member="container")
        ranges.append(NodeRange(first, last, properties, entry))
    nodes = NodeSet(count, main, tuple(ranges))
    _check_cover(nodes, member)
    return nodes


def overridden(
    nodes: NodeSet, overrides: Mapping[str, Any], member: str = "nodeOverrides"
) -> NodeSet:
    """`nodes` with a submission's `nodeOverrides` over them."""
    count = overrides.get("numNodes")
    if count is not None and count != nodes.count:
        nodes = _resized(nodes, count, member)
    for entry in overrides.get("nodePropertyOverrides") or ():
        nodes = replace(nodes, ranges=_override_ranges(nodes, entry, member))
    return nodes


def split_range(text: str, member: str) -> tuple[int, int | None]:
    """`0:3`, `:3`, `2:` or `2` as the first and the last node; no last one is None."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise Refused(f"{member} should be a range of nodes as 0:3; got {text[:50]!r}.")
    if match[1]:
        return int(match[1]), int(match[1])
    first, last = int(match[2] or 0), int(match[3]) if match[3] else None
    if last is not None and last < first:
        raise Refused(f"{member}: the range {text} ends before it begins.")
    return first, last


def _check_counts(count: int, main: int, member: str) -> None:
    if not 1 <= count <= NODES_MAX:
        raise Refused(f"{member}.numNodes should be from 1 to {NODES_MAX}; got {count}.")
    if not 0 <= main < count:
        raise Refused(
            f"{member}.mainNode should be fewer than the number of nodes, {count}; got {main}."
        )


def _check_cover(nodes: NodeSet, member: str) -> None:
    for found in nodes.ranges:
        if found.first >= nodes.count or (found.last or 0) >= nodes.count:
            raise Refused(
                f"{member}.nodeRangeProperties.targetNodes: {found.stated['targetNodes']} reaches "
                f"beyond the last node, {nodes.count - 1}."
            )
    for node in range(nodes.count):
        if not any(found.covers(node) for found in nodes.ranges):
            raise Refused(
                f"{member}.nodeRangeProperties must account for all nodes "
                f"(0:{nodes.count - 1}); node {node} is in no range."
            )


def _resized(nodes: NodeSet, count: int, member: str) -> NodeSet:
    if not any(found.last is None for found in nodes.ranges):
        raise Refused(
            f"{member}.numNodes: no node range of the definition has an open end (such as 0:), "
            "so the number of nodes can't be overridden."
        )
    _check_counts(count, nodes.main, member)
    resized = replace(nodes, count=count)
    _check_cover(resized, member)
    return resized


def _override_ranges(
    nodes: NodeSet, entry: Mapping[str, Any], member: str
) -> tuple[NodeRange, ...]:
    place = f"{member}.nodePropertyOverrides"
    first, last = split_range(entry["targetNodes"], f"{place}.targetNodes")
    if first >= nodes.count or (last or 0) >= nodes.count:
        raise Refused(
            f"{place}.targetNodes: {entry['targetNodes']} reaches beyond the last node, "
            f"{nodes.count - 1}."
        )
    over = {}
    if entry.get("instanceTypes"):
        over["instanceTypes"] = entry["instanceTypes"]
    if entry.get("consumableResourcePropertiesOverride"):
        over["consumableResourceProperties"] = entry["consumableResourcePropertiesOverride"]
    return _split(nodes, first, nodes.count - 1 if last is None else last, entry, over, place)


def _split(
    nodes: NodeSet,
    first: int,
    last: int,
    entry: Mapping[str, Any],
    over: Mapping[str, Any],
    place: str,
) -> tuple[NodeRange, ...]:
    """Cut the ranges at the override's bounds, so that it applies to exactly its own nodes."""
    cut: list[NodeRange] = []
    for begin, end, found in nodes.groups():
        for low, high, inside in _pieces(begin, end, first, last):
            properties, stated = found.properties, found.stated
            if inside:
                properties = task.overridden(properties, entry, f"{place}.")
                stated = {**stated, **over}
            cut.append(NodeRange(low, high, properties, {**stated, "targetNodes": f"{low}:{high}"}))
    return tuple(cut)


def _pieces(begin: int, end: int, first: int, last: int) -> Sequence[tuple[int, int, bool]]:
    pieces = [
        (begin, min(end, first - 1), False),
        (max(begin, first), min(end, last), True),
        (max(begin, last + 1), end, False),
    ]
    return [piece for piece in pieces if piece[0] <= piece[1]]
