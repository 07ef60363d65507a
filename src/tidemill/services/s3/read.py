"""The operations that read an object: whole, in ranges, by parts, or only what describes it."""

from __future__ import annotations

from typing import Any, Final

from tidemill.platform.body import FileRange
from tidemill.platform.fault import Fault
from tidemill.services.s3 import checksum
from tidemill.services.s3.byte_range import ByteRange, parse_range, part_range
from tidemill.services.s3.condition import check_read
from tidemill.services.s3.context import Context, Params, check_supported, no_such_key
from tidemill.services.s3.lifecycle import expiration
from tidemill.services.s3.name import check_version, encode_key
from tidemill.services.s3.record import Part, Record, checksum_members, describe

PARTS_PER_PAGE_MAX: Final = 1000

_OVERRIDES: Final = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


async def get_object(s3: Context, params: Params) -> dict[str, Any]:
    """An object's bytes, or those of a range or part, as they were at one moment."""
    bucket, key = s3.bucket_of(params), _key_to_read(params)
    found = await s3.index.object_and_data(bucket.id, key)
    if found is None:
        raise no_such_key(key)
    record, data = found
    answer, piece = _answer(record, params)
    answer.update(expiration(bucket, key, record))
    if data is not None:
        answer["Body"] = data[piece.offset : piece.offset + piece.length]
    elif record.blob is None:
        answer["Body"] = b""
    else:
        answer["Body"] = FileRange(s3.blobs.path(record.blob), piece.offset, piece.length)
    return answer


async def head_object(s3: Context, params: Params) -> dict[str, Any]:
    """What GetObject would say, without the bytes."""
    bucket, key = s3.bucket_of(params), _key_to_read(params)
    record = await s3.existing(bucket, key)
    answer, _ = _answer(record, params)
    return {**answer, **expiration(bucket, key, record)}


async def get_object_attributes(s3: Context, params: Params) -> dict[str, Any]:
    """Those of an object's attributes that are asked for."""
    bucket, key = s3.bucket_of(params), _key_to_read(params)
    record = await s3.existing(bucket, key)
    asked = set(params["ObjectAttributes"])
    answer: dict[str, Any] = {"LastModified": record.modified_ms // 1000}
    if "ETag" in asked:
        answer["ETag"] = record.etag
    if "ObjectSize" in asked:
        answer["ObjectSize"] = record.size
    if "StorageClass" in asked:
        answer["StorageClass"] = record.head.headers.get("StorageClass", "STANDARD")
    if "Checksum" in asked and record.head.checksums:
        answer["Checksum"] = checksum_members(record.head)
    if "ObjectParts" in asked and record.head.parts:
        answer["ObjectParts"] = _list_parts(record.head.parts, params)
    return answer


def _key_to_read(params: Params) -> bytes:
    check_version(params.get("VersionId"))
    check_supported(params)
    return encode_key(params["Key"])


def _answer(record: Record, params: Params) -> tuple[dict[str, Any], ByteRange]:
    """The members of an answer and the bytes that it is about; raises what conditions refuse."""
    check_read(params, record.known)
    chosen = _choose(record, params)
    piece = chosen or ByteRange(0, record.size, record.size)
    answer = describe(record)
    answer["ContentLength"] = piece.length
    if chosen is not None and piece.size:
        answer["ContentRange"] = str(piece)
    number = params.get("PartNumber")
    if number is not None and record.head.parts:
        answer["PartsCount"] = len(record.head.parts)
    if params.get("ChecksumMode") == "ENABLED":
        answer.update(_checksums(record, number, chosen))
    for override, member in _OVERRIDES.items():
        if params.get(override) is not None:
            answer[member] = params[override]
    return answer, piece


def _choose(record: Record, params: Params) -> ByteRange | None:
    header, number = params.get("Range"), params.get("PartNumber")
    if number is not None:
        if header is not None:
            raise Fault(
                "InvalidRequest",
                "Cannot specify both Range header and partNumber query parameter",
            )
        return part_range(number, record.part_sizes, record.size)
    return parse_range(header, record.size) if header is not None else None


def _checksums(record: Record, number: int | None, chosen: ByteRange | None) -> dict[str, Any]:
    """The checksums of exactly the bytes that are answered, where they are known."""
    if number is not None and record.head.parts:
        part = record.head.parts[number - 1].checksums
        return {**checksum.members(part), "ChecksumType": record.head.checksum_type} if part else {}
    if chosen is not None and chosen.length != record.size:
        return {}
    return checksum_members(record.head)


def _list_parts(parts: tuple[Part, ...], params: Params) -> dict[str, Any]:
    marker = params.get("PartNumberMarker") or 0
    limit = min(params.get("MaxParts", PARTS_PER_PAGE_MAX), PARTS_PER_PAGE_MAX)
    rest = [part for part in parts if part.number > marker]
    page = rest[:limit]
    answer: dict[str, Any] = {
        "TotalPartsCount": len(parts),
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else marker,
        "MaxParts": limit,
        "IsTruncated": len(rest) > len(page),
    }
    if any(part.checksums for part in page):
        answer["Parts"] = [
            {
                "PartNumber": part.number,
                "Size": part.size,
                **checksum.members(part.checksums),
            }
            for part in page
        ]
    return answer
