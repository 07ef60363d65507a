"""The end of a multipart upload: its parts become one object, or nothing changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidemill.platform.body import FileRange
from tidemill.platform.fault import Fault
from tidemill.services.s3 import checksum, store
from tidemill.services.s3.condition import check_write, is_conditional
from tidemill.services.s3.context import Content, Context, Params, check_supported, malformed_xml
from tidemill.services.s3.lifecycle import expiration
from tidemill.services.s3.multipart import no_such_upload
from tidemill.services.s3.name import encode_key
from tidemill.services.s3.record import Head, Part, Record, checksum_members
from tidemill.services.s3.store import Bucket, Upload, UploadedPart


async def complete_multipart_upload(s3: Context, params: Params) -> dict[str, Any]:
    """Join the named parts into the object; again after success, the answer is the same."""
    upload_id, key = params["UploadId"], encode_key(params["Key"])
    check_supported(params)
    alone = is_conditional(params)
    async with (
        s3.locks.alone(upload_id),
        s3.writing(params["Bucket"], key, alone=alone) as bucket,
    ):
        s3.bucket_of(params)
        upload = await s3.index.upload(bucket.id, key, upload_id)
        there = await s3.index.object(bucket.id, key)
        if upload is None:
            if there is None or there.head.upload_id != upload_id:
                raise no_such_upload(upload_id)
            return _answer(params, bucket, there)
        check_write(params, there.known if there is not None else None)
        parts = _choose(s3, params, await s3.index.parts(upload_id))
        head = _complete_head(params, upload, parts)
        return _answer(params, bucket, await _commit(s3, bucket, key, upload, parts, head))


async def _commit(
    s3: Context,
    bucket: Bucket,
    key: bytes,
    upload: Upload,
    parts: Sequence[UploadedPart],
    head: Head,
) -> Record:
    content = await _join(s3, parts)
    now_ms = s3.now_ms
    record = Record(
        size=sum(part.size for part in parts),
        etag=checksum.multipart_etag([part.etag for part in parts]),
        modified_ms=now_ms,
        blob=content.blob,
        head=head,
    )
    kept = parts[0].blob if len(parts) == 1 else -1
    await s3.committer.commit(
        [
            *content.writes,
            *store.put_object(bucket.id, key, record),
            *store.end_upload(bucket.id, key, upload.id, now_ms, kept),
        ]
    )
    return record


async def _join(s3: Context, parts: Sequence[UploadedPart]) -> Content:
    """The parts' bytes as one blob; a single part's file is taken over as it is."""
    if len(parts) == 1:
        return Content(parts[0].blob, is_file=True)
    number = s3.blobs.new_number()
    ranges = [FileRange(s3.blobs.path(part.blob), 0, part.size) for part in parts]
    await s3.blobs.join(number, ranges)
    return Content(number, store.put_blob(number, None), is_file=True)


def _choose(s3: Context, params: Params, kept: Sequence[UploadedPart]) -> list[UploadedPart]:
    """The parts that the call names, each as it is kept, checked against what AWS demands."""
    named = (params.get("MultipartUpload") or {}).get("Parts")
    if not named:
        raise malformed_xml()
    by_number = {part.number: part for part in kept}
    chosen: list[UploadedPart] = []
    for entry in named:
        number = entry.get("PartNumber")
        if chosen and number is not None and number <= chosen[-1].number:
            raise Fault(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part "
                "number.",
                UploadId=params["UploadId"],
            )
        chosen.append(_check_part(params, entry, by_number.get(number)))
    _check_sizes(chosen, s3.limits.multipart_min_part_bytes)
    size, stated = sum(part.size for part in chosen), params.get("MpuObjectSize")
    if stated is not None and stated != size:
        raise Fault(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {stated} does not match what was "
            f"computed: {size}.",
        )
    return chosen


def _check_part(
    params: Params, entry: Mapping[str, Any], part: UploadedPart | None
) -> UploadedPart:
    etag = (entry.get("ETag") or "").strip('"')
    wrong = part is None or etag != part.etag
    if part is not None and part.checksums:
        stated = checksum.stated_values(entry)
        wrong = wrong or any(part.checksums.get(name) != value for name, value in stated.items())
    if part is None or wrong:
        raise Fault(
            "InvalidPart",
            "One or more of the specified parts could not be found. The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag.",
            UploadId=params["UploadId"],
            PartNumber=entry.get("PartNumber"),
            ETag=etag,
        )
    return part


def _check_sizes(parts: Sequence[UploadedPart], least: int) -> None:
    for part in parts[:-1]:
        if part.size < least:
            raise Fault(
                "EntityTooSmall",
                f"Your proposed upload is smaller than the minimum allowed size: part "
                f"{part.number} has {part.size} bytes, and each part but the last needs {least}.",
                ProposedSize=part.size,
                MinSizeAllowed=least,
                PartNumber=part.number,
                ETag=part.etag,
            )


def _complete_head(params: Params, upload: Upload, parts: Sequence[UploadedPart]) -> Head:
    """The object's head: the upload's, its parts and the checksum that follows from theirs."""
    head = msgspec.structs.replace(
        upload.head,
        upload_id=upload.id,
        checksums={},
        checksum_type="",
        parts=tuple(Part(part.number, part.size, part.checksums) for part in parts),
    )
    algorithm = next(iter(upload.head.checksums), None)
    if algorithm is None or not all(algorithm in part.checksums for part in parts):
        return head
    kind = upload.head.checksum_type
    if params.get("ChecksumType") not in (None, kind):
        raise Fault(
            "InvalidRequest",
            f"The upload was created with the checksum type {kind}; complete it with that, not "
            f"with {params['ChecksumType']}.",
        )
    value = _whole_checksum(algorithm, kind, parts)
    stated = checksum.stated_values(params).get(algorithm)
    if stated is not None and stated != value:
        raise checksum.mismatch(algorithm, stated.partition("-")[0])
    return msgspec.structs.replace(head, checksums={algorithm: value}, checksum_type=kind)


def _whole_checksum(algorithm: str, kind: str, parts: Sequence[UploadedPart]) -> str:
    if kind == "FULL_OBJECT":
        pairs = [(part.checksums[algorithm], part.size) for part in parts]
        return checksum.full_object(algorithm, pairs)
    return checksum.composite(algorithm, [part.checksums[algorithm] for part in parts])


def _answer(params: Params, bucket: Bucket, record: Record) -> dict[str, Any]:
    return {
        "Location": f"/{params['Bucket']}/{params['Key']}",
        "Bucket": params["Bucket"],
        "Key": params["Key"],
        "ETag": f'"{record.etag}"',
        **checksum_members(record.head),
        **expiration(bucket, encode_key(params["Key"]), record),
    }
