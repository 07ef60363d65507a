"""Which operation of a REST service a method, a path and a query string ask for.

The URI templates of a model (`/{Bucket}/{Key+}?uploads`) are compiled into a tree of path
segments. Several operations may share a path: the one with the most parts of the query string
that are all there is meant, and among those one whose required headers are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from tidemill.wire.model import Operation, ServiceModel

_FOUND = tuple[list["Candidate"], list[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An operation at a path: what else must be there, and how the path's labels are called."""

    operation: str
    labels: tuple[str, ...]
    literals: tuple[tuple[str, str | None], ...]
    required_query: tuple[str, ...]
    required_headers: tuple[bytes, ...]
    deprecated: bool

    @property
    def query_names(self) -> tuple[str, ...]:
        """All names that have to be in the query string."""
        return (*(name for name, _ in self.literals), *self.required_query)

    def fits_literals(self, query: Mapping[str, list[str]]) -> bool:
        """Whether the literal parts of the template are in the query string."""
        return all(
            name in query and (value is None or value in query[name])
            for name, value in self.literals
        )


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths; `greedy` takes all that is left of a path."""

    literals: dict[str, _Node] = field(default_factory=dict)
    label: _Node | None = None
    greedy: list[Candidate] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)


class AmbiguousRequest(Exception):
    """A request that asks for a part of an operation: `missing` are the names it lacks."""

    def __init__(self, operation: str, missing: list[str]) -> None:
        super().__init__(operation, missing)
        self.operation = operation
        self.missing = missing


class Router:
    """All URI templates of a service, by method."""

    def __init__(self, model: ServiceModel) -> None:
        self._roots: dict[str, _Node] = {}
        self._fixed: dict[tuple[str, bytes], str] = {}
        fixed: dict[tuple[str, bytes], list[Candidate]] = {}
        for operation in model.operations.values():
            path, _, _ = operation.http.request_uri.partition("?")
            candidate = _candidate(model, operation)
            root = self._roots.setdefault(operation.http.method, _Node())
            _hang(root, path, candidate)
            if "{" not in path:
                fixed.setdefault((operation.http.method, path.encode()), []).append(candidate)
        for key, candidates in fixed.items():
            if len(candidates) == 1 and not candidates[0].literals:
                self._fixed[key] = candidates[0].operation

    def fixed(self, method: str, path: bytes) -> str | None:
        """The operation of a path without labels that only one operation has; the short way."""
        return self._fixed.get((method, path))

    def match(
        self,
        method: str,
        path: bytes,
        query: Mapping[str, list[str]],
        headers: Mapping[bytes, bytes],
    ) -> tuple[str, dict[str, bytes]] | None:
        """The operation and the raw values of its labels; None when no template fits.

        AmbiguousRequest when the request has only some of the query names that tell an operation
        from the others of its path.
        """
        root = self._roots.get(method)
        if root is None:
            return None
        found = _walk(root, path.split(b"/")[1:], 0, [])
        if found is None:
            return None
        candidates, values = found
        candidate = _choose(candidates, query, headers)
        if candidate is None:
            return None
        return candidate.operation, dict(zip(candidate.labels, values, strict=True))

    def methods(self, path: bytes) -> list[str]:
        """The methods that some operation at this path has."""
        segments = path.split(b"/")[1:]
        return sorted(
            method for method, root in self._roots.items() if _walk(root, segments, 0, [])
        )


def _candidate(model: ServiceModel, operation: Operation) -> Candidate:
    path, _, query = operation.http.request_uri.partition("?")
    literals = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        literals.append((name, value or None))
    required_query, required_headers = [], []
    if operation.input is not None:
        shape = model.shape(operation.input)
        for name in shape.required:
            ref = shape.members[name]
            wire_name = model.wire_name(ref, name)
            if ref.location == "querystring":
                required_query.append(wire_name)
            elif ref.location == "header":
                required_headers.append(wire_name.lower().encode())
    return Candidate(
        operation=operation.name,
        labels=tuple(s.strip("{}").rstrip("+") for s in path.split("/") if s.startswith("{")),
        literals=tuple(literals),
        required_query=tuple(required_query),
        required_headers=tuple(required_headers),
        deprecated=operation.deprecated,
    )


def _hang(node: _Node, path: str, candidate: Candidate) -> None:
    for segment in _trimmed(path.split("/")[1:]):
        if segment.startswith("{") and segment.endswith("+}"):
            node.greedy.append(candidate)
            return
        if segment.startswith("{"):
            node.label = node.label or _Node()
            node = node.label
        else:
            node = node.literals.setdefault(segment, _Node())
    node.candidates.append(candidate)


def _trimmed(segments: list[str]) -> list[str]:
    """Segments without the empty one that a final slash leaves: it makes no difference."""
    return segments[:-1] if segments and not segments[-1] else segments


def _walk(node: _Node, segments: list[bytes], index: int, values: list[bytes]) -> _FOUND | None:
    left = segments[index:]
    if not left or (left == [b""] and node.candidates):
        return (node.candidates, values) if node.candidates else None
    literal = node.literals.get(_literal(left[0]))
    if literal is not None:
        found = _walk(literal, segments, index + 1, values)
        if found is not None:
            return found
    if node.label is not None and left[0]:
        found = _walk(node.label, segments, index + 1, [*values, left[0]])
        if found is not None:
            return found
    if node.greedy and (rest := b"/".join(left)):
        return node.greedy, [*values, rest]
    return None


def _literal(segment: bytes) -> str:
    text = segment.decode("latin-1")
    return unquote(text) if "%" in text else text


def _choose(
    candidates: list[Candidate], query: Mapping[str, list[str]], headers: Mapping[bytes, bytes]
) -> Candidate | None:
    fitting = [candidate for candidate in candidates if candidate.fits_literals(query)]
    complete = [c for c in fitting if all(name in query for name in c.required_query)]
    if not complete:
        # Which operation is meant is clear; what it lacks, the check of its input will say.
        return min(fitting, key=lambda c: len(c.required_query), default=None)
    most = max(len(candidate.query_names) for candidate in complete)
    if most == 0:
        _refuse_half(candidates, query)
    best = [candidate for candidate in complete if len(candidate.query_names) == most]
    return max(best, key=lambda c: _preference(c, headers))


def _preference(candidate: Candidate, headers: Mapping[bytes, bytes]) -> tuple[bool, int, bool]:
    has_all = all(name in headers for name in candidate.required_headers)
    return has_all, len(candidate.required_headers), not candidate.deprecated


def _refuse_half(candidates: list[Candidate], query: Mapping[str, list[str]]) -> None:
    for candidate in candidates:
        names = candidate.query_names
        missing = [name for name in names if name not in query]
        if len(names) > 1 and len(missing) < len(names):
            raise AmbiguousRequest(candidate.operation, missing)
