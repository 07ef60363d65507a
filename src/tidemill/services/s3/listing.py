"""The operations that list objects: by prefix, rolled up at a delimiter, a page at a time.

Keys are compared as UTF-8 bytes, as S3 does. A rolled-up prefix is left by one seek in the index,
however many objects lie under it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from tidemill.platform.fault import Fault
from tidemill.services.s3.context import Context, Params
from tidemill.services.s3.name import AFTER_PREFIX
from tidemill.services.s3.store import Index, Listed

KEYS_PER_PAGE_MAX: Final = 1000
_FIRST_FETCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which objects: under `prefix`, rolled up at `delimiter` (or empty), behind `after`."""

    bucket: int
    prefix: bytes
    delimiter: bytes
    after: bytes
    limit: int

    def roll_up(self, key: bytes) -> bytes | None:
        """The common prefix that stands for `key`, or None when it stands for itself."""
        if not self.delimiter:
            return None
        at = key.find(self.delimiter, len(self.prefix))
        return None if at < 0 else key[: at + len(self.delimiter)]

    def start(self) -> bytes:
        """The lowest key that the page may hold; a prefix that was listed is passed whole."""
        if self.after < self.prefix or not self.after:
            return self.prefix
        passed = self.after.startswith(self.prefix) and self.roll_up(self.after) == self.after
        return self.after + (AFTER_PREFIX if passed else b"\0")


@dataclass(slots=True)
class Page:
    """What was found: objects and prefixes in order, and behind which entry more follow."""

    objects: list[Listed] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    last: bytes = b""
    is_truncated: bool = False

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


async def find(index: Index, query: Query) -> Page:
    """One page of a bucket."""
    page = Page()
    if query.limit == 0:
        return page
    start, end = query.start(), query.prefix + AFTER_PREFIX
    fetch = _FIRST_FETCH if query.delimiter else query.limit + 1
    while start < end:
        rows = await index.objects(query.bucket, start, end, fetch)
        skipped = 0
        for row in rows:
            if row.key < start:
                skipped += 1
                continue
            if len(page) == query.limit:
                page.is_truncated = True
                return page
            start = _add(page, query, row)
        if len(rows) < fetch:
            break
        fetch = min(2 * fetch, KEYS_PER_PAGE_MAX) if skipped < len(rows) // 2 else _FIRST_FETCH
    return page


def _add(page: Page, query: Query, row: Listed) -> bytes:
    """Add what stands for an object to the page; where to go on from."""
    prefix = query.roll_up(row.key)
    if prefix is None:
        page.objects.append(row)
        page.last = row.key
        return row.key + b"\0"
    page.prefixes.append(prefix)
    page.last = prefix
    return prefix + AFTER_PREFIX


async def list_objects_v2(s3: Context, params: Params) -> dict[str, Any]:
    """A page of objects; the token for the next one holds the last entry of this."""
    token = params.get("ContinuationToken")
    after = _open_token(token) if token is not None else (params.get("StartAfter") or "").encode()
    page, answer, encode = await _list(s3, params, after)
    answer["KeyCount"] = len(page)
    if token is not None:
        answer["ContinuationToken"] = token
    if params.get("StartAfter") is not None:
        answer["StartAfter"] = encode(params["StartAfter"])
    if page.is_truncated:
        answer["NextContinuationToken"] = _make_token(page.last)
    if not params.get("FetchOwner"):
        for entry in answer.get("Contents", ()):
            del entry["Owner"]
    return answer


async def list_objects(s3: Context, params: Params) -> dict[str, Any]:
    """A page of objects as the first version of the API has it; the marker is the last entry."""
    marker = params.get("Marker") or ""
    page, answer, encode = await _list(s3, params, marker.encode())
    answer["Marker"] = encode(marker)
    if page.is_truncated and params.get("Delimiter"):
        answer["NextMarker"] = encode(page.last.decode())
    return answer


async def list_object_versions(s3: Context, params: Params) -> dict[str, Any]:
    """All objects as their only version, `null`, so that what empties buckets finds them."""
    marker = params.get("KeyMarker") or ""
    page, answer, encode = await _list(s3, params, marker.encode())
    for entry in (versions := answer.pop("Contents", [])):
        entry.update(VersionId="null", IsLatest=True)
    answer["KeyMarker"] = encode(marker)
    answer["VersionIdMarker"] = params.get("VersionIdMarker") or ""
    if versions:
        answer["Versions"] = versions
    if page.is_truncated:
        answer.update(NextKeyMarker=encode(page.last.decode()), NextVersionIdMarker="null")
    return answer


class Encode:
    """How names stand in a listing: percent-encoded where EncodingType asks for it."""

    def __init__(self, params: Params) -> None:
        encoding = params.get("EncodingType")
        if encoding not in (None, "url"):
            raise Fault("InvalidArgument", "Invalid Encoding Method specified in Request")
        self.members = {"EncodingType": encoding} if encoding else {}
        self._encodes = encoding == "url"

    def __call__(self, name: str) -> str:
        return quote(name, safe="/") if self._encodes else name


def page_limit(params: Params, member: str) -> int:
    """How many entries a page may have: 1,000 unless fewer are asked for."""
    limit: int = params.get(member, KEYS_PER_PAGE_MAX)
    if limit < 0:
        raise Fault(
            "InvalidArgument",
            f"Argument {member} must be an integer between 0 and 2147483647, not {limit}.",
            ArgumentName=member,
            ArgumentValue=str(limit),
        )
    return min(limit, KEYS_PER_PAGE_MAX)


async def _list(s3: Context, params: Params, after: bytes) -> tuple[Page, dict[str, Any], Encode]:
    bucket, encode = s3.bucket_of(params), Encode(params)
    prefix, delimiter = params.get("Prefix") or "", params.get("Delimiter") or ""
    limit = page_limit(params, "MaxKeys")
    query = Query(
        bucket=bucket.id,
        prefix=prefix.encode(),
        delimiter=delimiter.encode(),
        after=after,
        limit=limit,
    )
    page = await find(s3.index, query)
    answer: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": encode(prefix),
        "MaxKeys": limit,
        "IsTruncated": page.is_truncated,
        **encode.members,
    }
    if delimiter:
        answer["Delimiter"] = encode(delimiter)
    if page.objects:
        answer["Contents"] = [_describe(s3, entry, encode) for entry in page.objects]
    if page.prefixes:
        answer["CommonPrefixes"] = [{"Prefix": encode(name.decode())} for name in page.prefixes]
    return page, answer, encode


def _describe(s3: Context, entry: Listed, encode: Encode) -> dict[str, Any]:
    head = entry.head
    answer: dict[str, Any] = {
        "Key": encode(entry.key.decode()),
        "LastModified": entry.modified_ms / 1000,
        "ETag": f'"{entry.etag}"',
        "Size": entry.size,
        "StorageClass": head.headers.get("StorageClass", "STANDARD"),
        "Owner": s3.owner,
    }
    if head.checksums:
        answer["ChecksumAlgorithm"] = list(head.checksums)
        answer["ChecksumType"] = head.checksum_type
    return answer


def _make_token(last: bytes) -> str:
    return base64.urlsafe_b64encode(b"1" + last).decode("ascii")


def _open_token(token: str) -> bytes:
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw.startswith(b"1"):
        raise Fault(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
            ArgumentValue=token[:200],
        )
    return raw[1:]
