"""The index's rows, in and out: buckets, objects, uploads, parts, and blobs to be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tidemill.platform.sql import statements
from tidemill.platform.store import Store, Write
from tidemill.services.s3.record import Head, Record, decode_head, encode_head
from tidemill.services.s3.rule import Lifecycle, read_lifecycle

_SQL: Final = statements("tidemill.services.s3", "s3.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One bucket; objects refer to it by `id`, so that a new one of the same name begins empty."""

    id: int
    name: str
    created_ms: int
    tags: dict[str, str]
    lifecycle: Lifecycle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as a listing needs it."""

    key: bytes
    size: int
    etag: str
    modified_ms: int
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A multipart upload that is under way; `head` is the object's to be."""

    key: bytes
    id: str
    created_ms: int
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedPart:
    """One part of an upload; `etag` is the hex MD5 of its bytes."""

    number: int
    size: int
    etag: str
    modified_ms: int
    blob: int
    checksums: dict[str, str]


class Index:
    """Queries over the store, and the writes that change it, for a committer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        rows = await self._store.fetch(_SQL["buckets"])
        return [
            Bucket(
                id=number,
                name=name,
                created_ms=created_ms,
                tags=msgspec.json.decode(tags),
                lifecycle=read_lifecycle(msgspec.json.decode(said)) if said else None,
            )
            for number, name, created_ms, tags, said in rows
        ]

    async def object(self, bucket: int, key: bytes) -> Record | None:
        """An object without its bytes."""
        rows = await self._store.fetch(_SQL["object"], (bucket, key))
        return _record(*rows[0]) if rows else None

    async def object_and_data(self, bucket: int, key: bytes) -> tuple[Record, bytes | None] | None:
        """An object and, where they are in the database, its bytes."""
        rows = await self._store.fetch(_SQL["object_and_data"], (bucket, key))
        if not rows:
            return None
        *columns, data = rows[0]
        return _record(*columns), data

    async def objects(self, bucket: int, start: bytes, end: bytes, limit: int) -> list[Listed]:
        """The first objects with keys from `start` to before `end`, in order of keys."""
        rows = await self._store.fetch(_SQL["objects"], (bucket, start, end, limit))
        return [
            Listed(key=key, size=size, etag=etag, modified_ms=ms, head=decode_head(head))
            for key, size, etag, ms, head in rows
        ]

    async def is_empty(self, bucket: int) -> bool:
        """Whether a bucket has no objects; uploads under way don't count."""
        return not await self._store.fetch(_SQL["any_object"], (bucket,))

    async def upload(self, bucket: int, key: bytes, upload_id: str) -> Upload | None:
        """An upload that is neither complete nor aborted."""
        rows = await self._store.fetch(_SQL["upload"], (bucket, key, upload_id))
        if not rows:
            return None
        return Upload(key=key, id=upload_id, created_ms=rows[0][0], head=decode_head(rows[0][1]))

    async def uploads(
        self, bucket: int, start: bytes, end: bytes, after: tuple[bytes, str], limit: int
    ) -> list[Upload]:
        """The first uploads with keys in a range, behind a (key, id), in that order."""
        params = (bucket, start, end, *after, limit)
        rows = await self._store.fetch(_SQL["uploads"], params)
        return [
            Upload(key=key, id=number, created_ms=ms, head=decode_head(head))
            for key, number, ms, head in rows
        ]

    async def parts(
        self, upload_id: str, after: int = 0, limit: int = 10_001
    ) -> list[UploadedPart]:
        """The parts of an upload by number, from behind `after`."""
        rows = await self._store.fetch(_SQL["parts"], (upload_id, after, limit))
        return [
            UploadedPart(
                number=number,
                size=size,
                etag=etag,
                modified_ms=ms,
                blob=blob,
                checksums=msgspec.json.decode(checksums),
            )
            for number, size, etag, ms, blob, checksums in rows
        ]

    async def garbage(self, until_ms: int, limit: int) -> list[tuple[int, bool]]:
        """Blobs that were given up until a moment: (number, whether it is a file)."""
        rows = await self._store.fetch(_SQL["garbage"], (until_ms, limit))
        return [(number, bool(is_file)) for number, is_file in rows]

    async def files_between(self, first: int, last: int) -> set[int]:
        """The blobs in a range of numbers that are files."""
        rows = await self._store.fetch(_SQL["blobs_between"], (first, last))
        return {number for (number,) in rows}


def put_bucket(bucket: Bucket) -> list[Write]:
    """Make a bucket, or change its tags and rules."""
    tags = msgspec.json.encode(bucket.tags)
    said = msgspec.json.encode(bucket.lifecycle.said) if bucket.lifecycle is not None else b""
    row = (bucket.id, bucket.name, bucket.created_ms, tags, said)
    return [Write(_SQL["put_bucket"], [row])]


def delete_bucket(bucket: int, now_ms: int) -> list[Write]:
    """Delete a bucket that is empty, with the uploads that were under way."""
    return [
        Write(_SQL["discard_bucket_parts"], [(bucket, now_ms)]),
        Write(_SQL["delete_bucket_parts"], [(bucket,)]),
        Write(_SQL["delete_bucket_uploads"], [(bucket,)]),
        Write(_SQL["delete_bucket"], [(bucket,)]),
    ]


def put_object(bucket: int, key: bytes, record: Record) -> list[Write]:
    """Put an object in the place of whatever is there; its blob is written already."""
    row = (
        bucket,
        key,
        record.size,
        record.etag,
        record.modified_ms,
        record.blob,
        encode_head(record.head),
    )
    return [
        Write(_SQL["discard_object"], [(bucket, key, record.modified_ms)]),
        Write(_SQL["put_object"], [row]),
    ]


def put_head(bucket: int, key: bytes, head: Head) -> list[Write]:
    """Change what describes an object and nothing else."""
    return [Write(_SQL["put_head"], [(bucket, key, encode_head(head))])]


def put_blob(number: int, data: bytes | None) -> list[Write]:
    """Keep small bytes in the database, or (None) note that a file of this number is needed."""
    return [Write(_SQL["put_blob"], [(number, data)])]


def delete_objects(bucket: int, keys: Sequence[bytes], now_ms: int) -> list[Write]:
    """Delete objects, those that exist."""
    return [
        Write(_SQL["discard_object"], [(bucket, key, now_ms) for key in keys]),
        Write(_SQL["delete_object"], [(bucket, key) for key in keys]),
    ]


def delete_expired(bucket: int, due: Sequence[tuple[bytes, int]], now_ms: int) -> list[Write]:
    """Delete objects, (key, modified_ms) each, that have not been written again since."""
    rows = [(bucket, *each) for each in due]
    return [
        Write(_SQL["discard_expired"], [(*row, now_ms) for row in rows]),
        Write(_SQL["delete_expired"], rows),
    ]


def put_upload(bucket: int, upload: Upload) -> list[Write]:
    """Begin a multipart upload."""
    row = (bucket, upload.key, upload.id, upload.created_ms, encode_head(upload.head))
    return [Write(_SQL["put_upload"], [row])]


def put_part(upload_id: str, part: UploadedPart) -> list[Write]:
    """Put a part in the place of an earlier one of its number; its file is written already."""
    row = (
        upload_id,
        part.number,
        part.size,
        part.etag,
        part.modified_ms,
        part.blob,
        msgspec.json.encode(part.checksums),
    )
    return [
        Write(_SQL["discard_part"], [(upload_id, part.number, part.modified_ms)]),
        Write(_SQL["put_part"], [row]),
    ]


def end_upload(
    bucket: int, key: bytes, upload_id: str, now_ms: int, keep_blob: int = -1
) -> list[Write]:
    """Forget an upload and give up its parts' blobs, but for `keep_blob`."""
    return [
        Write(_SQL["discard_parts"], [(upload_id, now_ms, keep_blob)]),
        Write(_SQL["delete_parts"], [(upload_id,)]),
        Write(_SQL["delete_upload"], [(bucket, key, upload_id)]),
    ]


def delete_garbage(numbers: Sequence[int]) -> list[Write]:
    """Forget blobs whose files are deleted."""
    rows = [(number,) for number in numbers]
    return [Write(_SQL["delete_blob"], rows), Write(_SQL["delete_garbage"], rows)]


def _record(size: int, etag: str, modified_ms: int, blob: int | None, head: bytes) -> Record:
    return Record(size=size, etag=etag, modified_ms=modified_ms, blob=blob, head=decode_head(head))
