"""The operations of a multipart upload before its end: begin, add parts, list, abort."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec

from tidemill.platform.body import FileRange
from tidemill.platform.fault import Fault
from tidemill.services.s3 import checksum, store
from tidemill.services.s3.byte_range import ByteRange, parse_copy_range
from tidemill.services.s3.checksum import Digest
from tidemill.services.s3.context import Content, Context, Params, check_supported
from tidemill.services.s3.lifecycle import abortion
from tidemill.services.s3.listing import Encode, page_limit
from tidemill.services.s3.name import AFTER_PREFIX, encode_key
from tidemill.services.s3.record import make_head
from tidemill.services.s3.store import Upload, UploadedPart
from tidemill.services.s3.write import open_copy_source

PARTS_MAX: Final = 10_000
_BEHIND_ALL_IDS: Final = "~"


async def create_multipart_upload(s3: Context, params: Params) -> dict[str, Any]:
    """Begin an upload; its head names the checksum algorithm by an empty value."""
    key = encode_key(params["Key"])
    check_supported(params)
    head = make_head(params, tagging=params.get("Tagging"))
    algorithm, kind = _checksum_of_upload(params)
    if algorithm:
        head = msgspec.structs.replace(head, checksums={algorithm: ""}, checksum_type=kind)
    async with s3.locks.shared(params["Bucket"]):
        bucket = s3.bucket_of(params)
        upload = Upload(
            key=key,
            id=f"{s3.blobs.new_number():016x}{secrets.token_hex(16)}",
            created_ms=s3.now_ms,
            head=head,
        )
        await s3.committer.commit(store.put_upload(bucket.id, upload))
    answer = {"Bucket": bucket.name, "Key": params["Key"], "UploadId": upload.id}
    return {
        **answer,
        **_describe_checksum(upload),
        **abortion(bucket, key, upload.created_ms),
    }


async def upload_part(s3: Context, params: Params) -> dict[str, Any]:
    """Keep one part; one of the same number that came before is replaced."""
    upload = await _find(s3, params)
    check_supported(params)
    body = params.get("Body") or b""
    algorithms = _checksum_of_part(params, upload)
    digest = await s3.digest(body, algorithms)
    _check_size(digest.size, s3.limits.object_put_max_bytes)
    checksum.verify(params, digest)
    content = await s3.keep_file(body)
    part = await _place(s3, params, content, digest)
    return {"ETag": f'"{part.etag}"', **checksum.members(part.checksums)}


async def upload_part_copy(s3: Context, params: Params) -> dict[str, Any]:
    """Take a part, or a range of it, from another object."""
    upload = await _find(s3, params)
    check_supported(params)
    _, _, source, data = await open_copy_source(s3, params)
    header = params.get("CopySourceRange")
    piece = ByteRange(0, source.size, source.size)
    if header is not None:
        piece = parse_copy_range(header, source.size)
    _check_size(piece.length, s3.limits.object_put_max_bytes)
    algorithms = _checksum_of_part(params, upload)
    if source.blob is None or data is not None:
        body = (data or b"")[piece.offset : piece.offset + piece.length]
        digest = await s3.digest(body, algorithms)
        content = await s3.keep_file(body)
    else:
        file = FileRange(s3.blobs.path(source.blob), piece.offset, piece.length)
        digest = await s3.digest(file, algorithms)
        content = await _copy_file(s3, source.blob, file, source.size)
    part = await _place(s3, params, content, digest)
    result = {"ETag": f'"{part.etag}"', "LastModified": part.modified_ms / 1000}
    return {"CopyPartResult": {**result, **checksum.members(part.checksums)}}


async def abort_multipart_upload(s3: Context, params: Params) -> dict[str, Any]:
    """Give up an upload and all of its parts."""
    upload_id = params["UploadId"]
    async with s3.locks.alone(upload_id):
        upload = await _find(s3, params)
        bucket = s3.bucket_of(params)
        await s3.committer.commit(store.end_upload(bucket.id, upload.key, upload_id, s3.now_ms))
    return {}


async def list_parts(s3: Context, params: Params) -> dict[str, Any]:
    """The parts that are kept so far, by number, a page at a time."""
    upload = await _find(s3, params)
    limit, marker = page_limit(params, "MaxParts"), params.get("PartNumberMarker") or 0
    found = await s3.index.parts(upload.id, marker, limit + 1)
    page = found[:limit]
    answer: dict[str, Any] = {
        "Bucket": params["Bucket"],
        "Key": params["Key"],
        "UploadId": upload.id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(found) > limit > 0,
        "Initiator": s3.owner,
        "Owner": s3.owner,
        "StorageClass": upload.head.headers.get("StorageClass", "STANDARD"),
        **_describe_checksum(upload),
        **abortion(s3.bucket_of(params), upload.key, upload.created_ms),
    }
    if page:
        answer["Parts"] = [_describe_part(part) for part in page]
    return answer


async def list_multipart_uploads(s3: Context, params: Params) -> dict[str, Any]:
    """The uploads under way, by key and then by age, a page at a time."""
    bucket, encode = s3.bucket_of(params), Encode(params)
    limit = page_limit(params, "MaxUploads")
    prefix, delimiter = params.get("Prefix") or "", params.get("Delimiter") or ""
    marker, id_marker = params.get("KeyMarker") or "", params.get("UploadIdMarker") or ""
    after = (marker.encode(), id_marker or _BEHIND_ALL_IDS) if marker else (b"", "")
    entries = await _find_uploads(s3, bucket.id, prefix.encode(), delimiter.encode(), after, limit)
    page = entries[:limit]
    answer: dict[str, Any] = {
        "Bucket": bucket.name,
        "KeyMarker": encode(marker),
        "UploadIdMarker": id_marker,
        "Prefix": encode(prefix),
        "MaxUploads": limit,
        "IsTruncated": len(entries) > limit > 0,
        **encode.members,
    }
    if delimiter:
        answer["Delimiter"] = encode(delimiter)
    if answer["IsTruncated"]:
        last = page[-1]
        answer["NextKeyMarker"] = encode((last if isinstance(last, bytes) else last.key).decode())
        answer["NextUploadIdMarker"] = "" if isinstance(last, bytes) else last.id
    if uploads := [entry for entry in page if isinstance(entry, Upload)]:
        answer["Uploads"] = [_describe_upload(s3, upload, encode) for upload in uploads]
    if prefixes := [entry for entry in page if isinstance(entry, bytes)]:
        answer["CommonPrefixes"] = [{"Prefix": encode(name.decode())} for name in prefixes]
    return answer


def no_such_upload(upload_id: str) -> Fault:
    """The refusal of an upload that is unknown, complete or aborted."""
    return Fault(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
        "been aborted or completed.",
        UploadId=upload_id,
    )


async def _find(s3: Context, params: Params) -> Upload:
    bucket, key = s3.bucket_of(params), encode_key(params["Key"])
    upload = await s3.index.upload(bucket.id, key, params["UploadId"])
    if upload is None:
        raise no_such_upload(params["UploadId"])
    return upload


async def _find_uploads(
    s3: Context, bucket: int, prefix: bytes, delimiter: bytes, after: tuple[bytes, str], limit: int
) -> list[Upload | bytes]:
    """Uploads, or (bytes) the prefixes that stand for them, one more than `limit` if there are."""
    entries: list[Upload | bytes] = []
    end = prefix + AFTER_PREFIX
    while len(entries) <= limit:
        rows = await s3.index.uploads(bucket, prefix, end, after, limit + 1)
        for row in rows:
            at = row.key.find(delimiter, len(prefix)) if delimiter else -1
            if at < 0:
                entries.append(row)
                after = (row.key, row.id)
                continue
            rolled = row.key[: at + len(delimiter)]
            after = (rolled + AFTER_PREFIX, "")
            if rolled not in entries:
                entries.append(rolled)
        if len(rows) <= limit:
            break
    return entries


async def _place(s3: Context, params: Params, content: Content, digest: Digest) -> UploadedPart:
    """Commit a part whose bytes are kept, if the upload is still under way."""
    assert content.blob is not None
    upload_id, number = params["UploadId"], params["PartNumber"]
    try:
        async with s3.locks.shared(upload_id), s3.locks.shared(params["Bucket"]):
            await _find(s3, params)
            part = UploadedPart(
                number=number,
                size=digest.size,
                etag=digest.md5.hex(),
                modified_ms=s3.now_ms,
                blob=content.blob,
                checksums=dict(digest.checksums),
            )
            await s3.committer.commit([*content.writes, *store.put_part(upload_id, part)])
            return part
    except Fault:
        await s3.give_up(content)
        raise


async def _copy_file(s3: Context, source: int, file: FileRange, size: int) -> Content:
    number = s3.blobs.new_number()
    if file.length == size:
        await s3.blobs.link(number, source)
    else:
        await s3.blobs.join(number, [file])
    return Content(number, store.put_blob(number, None), is_file=True)


def _checksum_of_upload(params: Params) -> tuple[str, str]:
    """The algorithm that an upload declares and how the whole's checksum comes about."""
    algorithm, kind = params.get("ChecksumAlgorithm") or "", params.get("ChecksumType") or ""
    if not algorithm:
        if kind:
            raise Fault(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header.",
            )
        return "", ""
    checksum.check_algorithm(algorithm)
    kind = kind or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    whole_only, parts_only = algorithm == "CRC64NVME", algorithm not in checksum.POLYNOMIALS
    if (whole_only and kind == "COMPOSITE") or (parts_only and kind == "FULL_OBJECT"):
        raise Fault(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm.",
        )
    return algorithm, kind


def _checksum_of_part(params: Params, upload: Upload) -> tuple[str, ...]:
    number = params["PartNumber"]
    if not 1 <= number <= PARTS_MAX:
        raise Fault(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PARTS_MAX}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )
    given = checksum.wanted(params)
    declared = tuple(upload.head.checksums)
    if given and declared and given != declared:
        raise Fault(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {declared[0].lower()}, "
            f"actual checksum Type: {given[0].lower()}",
        )
    return given or declared


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Fault(
            "EntityTooLarge",
            f"Your proposed upload exceeds the maximum allowed size: {size} bytes where {limit} "
            "are allowed in one part.",
            ProposedSize=size,
            MaxSizeAllowed=limit,
        )


def _describe_checksum(upload: Upload) -> dict[str, str]:
    if not upload.head.checksums:
        return {}
    algorithm = next(iter(upload.head.checksums))
    return {"ChecksumAlgorithm": algorithm, "ChecksumType": upload.head.checksum_type}


def _describe_part(part: UploadedPart) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified_ms / 1000,
        "ETag": f'"{part.etag}"',
        "Size": part.size,
        **checksum.members(part.checksums),
    }


def _describe_upload(s3: Context, upload: Upload, encode: Encode) -> dict[str, Any]:
    return {
        "Key": encode(upload.key.decode()),
        "UploadId": upload.id,
        "Initiated": upload.created_ms / 1000,
        "StorageClass": upload.head.headers.get("StorageClass", "STANDARD"),
        "Initiator": s3.owner,
        "Owner": s3.owner,
        **_describe_checksum(upload),
    }
