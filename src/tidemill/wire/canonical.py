"""The canonical form of a request, which is what SigV4 signs.

Clients differ in what they escape. The form tried first is what was sent; where that does not
match, path and query string are tried as AWS would have escaped them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from tidemill.wire.error import WireError
from tidemill.wire.request import HttpRequest

_UNRESERVED: Final = "-_.~"
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-]+)*/?")
_MAY_BE_UNSIGNED: Final = frozenset({b"x-amz-content-sha256"})


def first_values(query: bytes) -> dict[str, str]:
    """The first value of each name of a query string, decoded; what is not UTF-8 is replaced."""
    values: dict[str, str] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        values.setdefault(_decode(name), _decode(value))
    return values


def _decode(encoded: bytes) -> str:
    return unquote_to_bytes(encoded.replace(b"+", b" ")).decode("utf-8", "replace")


def headers(request: HttpRequest, names: list[str]) -> str:
    """The signed headers, one a line, blanks in their values collapsed."""
    find = request.header_map.get
    lines = []
    for name in names:
        value = find(name.encode("latin-1", "replace"), b"").decode("latin-1")
        if "  " in value or value != value.strip():
            value = " ".join(value.split())
        lines.append(f"{name}:{value}\n")
    return "".join(lines)


def refuse_unsigned_headers(request: HttpRequest, names: list[str]) -> None:
    """S3 takes none of its headers that the signer did not sign: they would change the request."""
    unsigned = [
        name.decode("latin-1")
        for name in request.header_map
        if name.startswith(b"x-amz-")
        and name.decode("latin-1") not in names
        and name not in _MAY_BE_UNSIGNED
    ]
    if unsigned:
        raise WireError(
            "AccessDenied",
            f"There were headers present in the request which were not signed: "
            f"{', '.join(unsigned)}.",
            members={"HeadersNotSigned": ", ".join(unsigned)},
        )


def forms(request: HttpRequest, service: str) -> Iterator[tuple[str, str]]:
    """Canonical paths and query strings, the likelier first."""
    path = request.raw_path.decode("latin-1") or "/"
    query = request.query.decode("latin-1")
    pairs = [part for part in query.split("&") if not part.startswith("X-Amz-Signature=")]
    first = _sent_path(path, service), _sent_query(pairs) if query else ""
    yield first
    second = _escaped_path(path, service), _escaped_query(pairs) if query else ""
    if second != first:
        yield second


def _sent_path(path: str, service: str) -> str:
    if service == "s3" or _PLAIN_PATH.fullmatch(path):
        return path
    # All but S3 escape the path once more, after they have taken "." and ".." out of it.
    return quote(_without_dots(path), safe="/" + _UNRESERVED)


def _escaped_path(path: str, service: str) -> str:
    escaped = quote(unquote_to_bytes(path.encode("latin-1")), safe="/" + _UNRESERVED)
    return escaped if service == "s3" else _sent_path(escaped, service)


def _without_dots(path: str) -> str:
    if "/." not in path and "//" not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    final = "/" if path.endswith("/") and kept else ""
    return f"/{'/'.join(kept)}{final}"


def _sent_query(pairs: list[str]) -> str:
    split = sorted(pair.partition("=")[::2] for pair in pairs if pair)
    return "&".join(f"{name}={value}" for name, value in split)


def _escaped_query(pairs: list[str]) -> str:
    escaped = []
    for pair in pairs:
        if pair:
            name, _, value = pair.partition("=")
            escaped.append(f"{_escape(name)}={_escape(value)}")
    return _sent_query(escaped)


def _escape(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ").encode("latin-1")), safe=_UNRESERVED)
