"""A whole HTTP request and its answer, as the server and the wire hand them to each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class HttpRequest:
    """One request, whole.

    `raw_path` is what the client sent, without query and still percent-encoded: signatures are
    made over it. Header names are lower case. `body` is bytes, or what the server made of a large
    one; only an operation whose payload is a blob may have such a body, and it gets it as it is.
    """

    method: str
    raw_path: bytes
    query: bytes
    headers: Iterable[tuple[bytes, bytes]]
    body: Any = b""
    _index: dict[bytes, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, repeated ones joined by commas; None when it was not sent."""
        index = self._index
        if index is None:
            index = self._index = _index(self.headers)
        return index.get(name)

    @property
    def header_map(self) -> dict[bytes, bytes]:
        """All headers by name, repeated ones joined by commas."""
        if self._index is None:
            self._index = _index(self.headers)
        return self._index


@dataclass(slots=True)
class HttpResponse:
    """One answer. `content-length` is the server's to add, where no member of the answer is it.

    `body` is bytes, or, for a blob payload, the very object that the operation's result held.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: Any


def _index(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    pairs = headers if isinstance(headers, list) else list(headers)
    index = dict(pairs)
    if len(index) != len(pairs):
        index = {}
        for name, value in pairs:
            index[name] = index[name] + b"," + value if name in index else value
    return index
