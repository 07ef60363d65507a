"""The operations that make, copy and delete whole objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import msgspec

from tidemill.platform.body import FileRange
from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller
from tidemill.services.s3 import checksum, store
from tidemill.services.s3.condition import (
    check_copy_source,
    check_delete,
    check_write,
    is_conditional,
)
from tidemill.services.s3.context import (
    Content,
    Context,
    Params,
    check_supported,
    malformed_xml,
    no_such_key,
)
from tidemill.services.s3.lifecycle import expiration
from tidemill.services.s3.name import check_version, encode_key, parse_copy_source
from tidemill.services.s3.record import Head, Record, checksum_members, make_head, parse_tagging

COPY_BYTES_MAX: Final = 5 * 1024**3
DELETE_KEYS_MAX: Final = 1000


async def put_object(s3: Context, params: Params, caller: Caller) -> dict[str, Any]:
    """Put an object, durable when this returns.

    Of writes with `IfNoneMatch: *` for one key, one wins, and it does so too when its answer is
    lost and it comes again under the same retry key.
    """
    key = encode_key(params["Key"])
    check_supported(params)
    bucket = s3.bucket_of(params)
    body = params.get("Body") or b""
    algorithms = checksum.wanted(params)
    head = make_head(params, tagging=params.get("Tagging"))
    digest = await s3.digest(body, algorithms)
    _check_size(digest.size, s3.limits.object_put_max_bytes)
    checksum.verify(params, digest)
    if algorithms:
        head = msgspec.structs.replace(
            head, checksums=dict(digest.checksums), checksum_type="FULL_OBJECT"
        )
    content = await s3.keep(body)
    record = Record(
        size=digest.size, etag=digest.md5.hex(), modified_ms=0, blob=content.blob, head=head
    )
    record = await place(s3, params, key, record, content, caller)
    return {
        "ETag": f'"{record.etag}"',
        **checksum_members(record.head),
        **expiration(bucket, key, record),
    }


async def place(
    s3: Context, params: Params, key: bytes, record: Record, content: Content, caller: Caller
) -> Record:
    """Commit an object whose bytes are kept, if the call's conditions hold; gives what is there.

    That is `record` with its time, or, where this is a retry of a conditional write that had
    succeeded, what that one had put.
    """
    conditional = is_conditional(params)
    retry_key = (caller.retry_key or "") if conditional else ""
    try:
        async with s3.writing(params["Bucket"], key, alone=conditional) as bucket:
            if conditional:
                there = await s3.index.object(bucket.id, key)
                if there is not None and retry_key and there.head.retry_key == retry_key:
                    await s3.give_up(content)
                    return there
                check_write(params, there.known if there is not None else None)
            record = msgspec.structs.replace(record, modified_ms=s3.now_ms)
            if retry_key:
                head = msgspec.structs.replace(record.head, retry_key=retry_key)
                record = msgspec.structs.replace(record, head=head)
            writes = store.put_object(bucket.id, key, record)
            await s3.committer.commit([*content.writes, *writes])
            return record
    except Fault:
        await s3.give_up(content)
        raise


async def copy_object(s3: Context, params: Params, caller: Caller) -> dict[str, Any]:
    """Put a copy of an object; a large one shares its bytes on disk with the source.

    The copy keeps the source's ETag and parts.
    """
    key = encode_key(params["Key"])
    check_supported(params)
    bucket = s3.bucket_of(params)
    name, source_key, source, data = await open_copy_source(s3, params)
    if source.size > COPY_BYTES_MAX:
        raise Fault(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {COPY_BYTES_MAX}; use UploadPartCopy.",
        )
    _check_self_copy(params, (name, source_key) == (params["Bucket"], key))
    head = _copied_head(params, source.head)
    algorithm = params.get("ChecksumAlgorithm")
    if algorithm and algorithm not in head.checksums:
        checksum.check_algorithm(algorithm)
        body = data if source.blob is None or data is not None else _file(s3, source)
        digest = await s3.digest(body or b"", (algorithm,))
        head = msgspec.structs.replace(
            head, checksums=dict(digest.checksums), checksum_type="FULL_OBJECT"
        )
    content = await _copy_content(s3, source, data)
    record = msgspec.structs.replace(source, blob=content.blob, head=head)
    record = await place(s3, params, key, record, content, caller)
    return {
        "CopyObjectResult": {
            "ETag": f'"{record.etag}"',
            "LastModified": record.modified_ms / 1000,
            **checksum_members(record.head),
        },
        **expiration(bucket, key, record),
    }


async def open_copy_source(s3: Context, params: Params) -> tuple[str, bytes, Record, bytes | None]:
    """The source of a copy, as it is now: bucket, key, what it is, and its bytes if inline."""
    name, text = parse_copy_source(params["CopySource"])
    bucket = s3.bucket(name, params.get("ExpectedSourceBucketOwner"))
    key = encode_key(text)
    found = await s3.index.object_and_data(bucket.id, key)
    if found is None:
        raise no_such_key(key)
    record, data = found
    check_copy_source(params, record.known)
    return name, key, record, data


async def delete_object(s3: Context, params: Params) -> dict[str, Any]:
    """Delete an object; that it is not there is no error."""
    check_version(params.get("VersionId"))
    key, condition = encode_key(params["Key"]), params.get("IfMatch")
    s3.bucket_of(params)
    async with s3.writing(params["Bucket"], key, alone=condition is not None) as bucket:
        if condition is not None:
            there = await s3.index.object(bucket.id, key)
            check_delete(condition, there.known if there is not None else None)
        await s3.committer.commit(store.delete_objects(bucket.id, [key], s3.now_ms))
    return {}


async def delete_objects(s3: Context, params: Params) -> dict[str, Any]:
    """Delete up to 1,000 objects in one transaction; what is refused is told for each."""
    bucket = s3.bucket_of(params)
    targets = params["Delete"]["Objects"]
    if not 1 <= len(targets) <= DELETE_KEYS_MAX:
        raise malformed_xml()
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    keys: dict[bytes, None] = {}
    async with AsyncExitStack() as held:
        await held.enter_async_context(s3.locks.shared(bucket.name))
        bucket = s3.bucket_of(params)
        for key, alone in sorted(_to_lock(targets).items()):
            lock = s3.locks.alone if alone else s3.locks.shared
            await held.enter_async_context(lock((bucket.name, key)))
        for target in targets:
            try:
                key = await _key_to_delete(s3, bucket, target)
            except Fault as fault:
                errors.append({"Key": target["Key"], "Code": fault.code, "Message": fault.message})
            else:
                keys[key] = None
                deleted.append({"Key": target["Key"]})
        if keys:
            await s3.committer.commit(store.delete_objects(bucket.id, list(keys), s3.now_ms))
    answer: dict[str, Any] = {}
    if not params["Delete"].get("Quiet"):
        answer["Deleted"] = deleted
    if errors:
        answer["Errors"] = errors
    return answer


def _to_lock(targets: Sequence[Mapping[str, Any]]) -> dict[bytes, bool]:
    """The keys that `targets` name, each once, and whether any of them has a condition.

    A key may be named twice, and its lock can't be taken twice.
    """
    alone: dict[bytes, bool] = {}
    for target in targets:
        with suppress(Fault):  # told of it when it is its turn
            key = encode_key(target["Key"])
            alone[key] = alone.get(key, False) or target.get("ETag") is not None
    return alone


async def _key_to_delete(s3: Context, bucket: store.Bucket, target: Mapping[str, Any]) -> bytes:
    check_version(target.get("VersionId"))
    key, condition = encode_key(target["Key"]), target.get("ETag")
    if condition is not None:
        there = await s3.index.object(bucket.id, key)
        check_delete(condition, there.known if there is not None else None)
    return key


async def _copy_content(s3: Context, source: Record, data: bytes | None) -> Content:
    if source.blob is None:
        return Content(None)
    number = s3.blobs.new_number()
    if data is not None:
        return Content(number, store.put_blob(number, data))
    await s3.blobs.link(number, source.blob)
    return Content(number, store.put_blob(number, None), is_file=True)


def _file(s3: Context, source: Record) -> FileRange:
    assert source.blob is not None
    return FileRange(s3.blobs.path(source.blob), 0, source.size)


def _copied_head(params: Params, source: Head) -> Head:
    """The head of a copy; storage class and redirect are the copy's own in either case."""
    own = make_head(params, tagging=None)
    if params.get("MetadataDirective") == "REPLACE":
        headers, metadata = own.headers, own.metadata
    else:
        headers = {
            name: value
            for name, value in source.headers.items()
            if name not in ("StorageClass", "WebsiteRedirectLocation")
        }
        for name in ("StorageClass", "WebsiteRedirectLocation"):
            if name in own.headers:
                headers[name] = own.headers[name]
        metadata = source.metadata
    tags = source.tags
    if params.get("TaggingDirective") == "REPLACE":
        tags = parse_tagging(params.get("Tagging") or "")
    return msgspec.structs.replace(
        source, headers=headers, metadata=metadata, tags=tags, upload_id="", retry_key=""
    )


def _check_self_copy(params: Params, is_self: bool) -> None:
    changes = (
        params.get("MetadataDirective") == "REPLACE"
        or params.get("TaggingDirective") == "REPLACE"
        or params.get("StorageClass")
        or params.get("WebsiteRedirectLocation")
        or params.get("ChecksumAlgorithm")
    )
    if is_self and not changes:
        raise Fault(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location or "
            "encryption attributes.",
        )


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Fault(
            "EntityTooLarge",
            f"Your proposed upload exceeds the maximum allowed object size: {size} bytes where "
            f"{limit} are allowed in one request; use a multipart upload.",
            ProposedSize=size,
            MaxSizeAllowed=limit,
        )
