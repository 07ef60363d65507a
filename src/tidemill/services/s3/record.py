"""What is kept of an object beside its bytes, between the index's rows and S3's members."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from tidemill.platform.fault import Fault
from tidemill.services.s3 import checksum
from tidemill.services.s3.condition import Known

DEFAULT_CONTENT_TYPE: Final = "binary/octet-stream"
METADATA_BYTES_MAX: Final = 2048
TAGS_MAX: Final = 10

_HEADERS: Final = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "StorageClass",
    "WebsiteRedirectLocation",
)
_ARCHIVES: Final = ("GLACIER", "DEEP_ARCHIVE")


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One part of a multipart object: its number as uploaded, size and checksums."""

    number: int
    size: int
    checksums: dict[str, str] = {}


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An object's describing part, encoded as one value of its row.

    `headers` holds S3's members as they came (`ContentType`), `upload_id` the multipart upload
    that made the object and `retry_key` the conditional write that did, so that their retries
    find what they did.
    """

    headers: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    checksums: dict[str, str] = {}
    checksum_type: str = ""
    parts: tuple[Part, ...] = ()
    upload_id: str = ""
    retry_key: str = ""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Head)


def encode_head(head: Head) -> bytes:
    """The head as the index keeps it."""
    return _ENCODER.encode(head)


def decode_head(row: bytes) -> Head:
    """The head that `encode_head` made."""
    return _DECODER.decode(row)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One object of the index. `blob` None is an empty object."""

    size: int
    etag: str
    modified_ms: int
    blob: int | None
    head: Head

    @property
    def known(self) -> Known:
        """What conditional requests compare."""
        return Known(self.etag, self.modified_ms)

    @property
    def part_sizes(self) -> list[int]:
        """The sizes of its parts in order; none where it was put in one piece."""
        return [part.size for part in self.head.parts]


def make_head(params: Mapping[str, Any], *, tagging: str | None) -> Head:
    """The head that a write's members describe, without its checksums."""
    _check_storage_class(params.get("StorageClass"))
    headers = {name: params[name] for name in _HEADERS if params.get(name) is not None}
    if "ContentEncoding" in headers:
        _drop_chunking(headers)
    if isinstance(expires := headers.get("Expires"), datetime):
        headers["Expires"] = expires.timestamp()
    headers.setdefault("ContentType", DEFAULT_CONTENT_TYPE)
    return Head(
        headers=headers,
        metadata=check_metadata(params.get("Metadata") or {}),
        tags=parse_tagging(tagging) if tagging else {},
    )


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata with names in lower case, as HTTP has them."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_BYTES_MAX:
        raise Fault(
            "MetadataTooLarge",
            f"Your metadata headers exceed the maximum allowed metadata size: {size} bytes where "
            f"{METADATA_BYTES_MAX} are allowed.",
            Size=size,
            MaxSizeAllowed=METADATA_BYTES_MAX,
        )
    return {name.lower(): value for name, value in metadata.items()}


def parse_tagging(text: str) -> dict[str, str]:
    """The tags of an `x-amz-tagging` header: `name=value&name=value`, percent-encoded."""
    pairs = parse_qsl(text, keep_blank_values=True)
    return check_tags([{"Key": name, "Value": value} for name, value in pairs], TAGS_MAX)


def check_tags(tag_set: list[dict[str, str]], limit: int) -> dict[str, str]:
    """The tags of a TagSet as a mapping, or the refusal of what AWS would not take."""
    tags = {tag["Key"]: tag["Value"] for tag in tag_set}
    if len(tags) != len(tag_set):
        raise Fault("InvalidTag", "Cannot provide multiple Tags with the same key")
    if len(tags) > limit:
        raise Fault(
            "BadRequest", f"Object tags cannot be greater than {limit}, and {len(tags)} were given."
        )
    for name, value in tags.items():
        if not 1 <= len(name) <= 128 or len(value) > 256 or name.lower().startswith("aws:"):
            raise Fault(
                "InvalidTag",
                f"The tag {name[:130]!r} is not allowed: a key has 1 to 128 characters and does "
                "not begin with aws:, a value has at most 256.",
                TagKey=name,
                TagValue=value,
            )
    return tags


def describe(record: Record) -> dict[str, Any]:
    """The members that GetObject and HeadObject share, for the whole object."""
    head = record.head
    answer: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": record.modified_ms // 1000,
        "ContentLength": record.size,
        "ETag": f'"{record.etag}"',
        "Metadata": head.metadata,
        **head.headers,
    }
    if answer.get("StorageClass") == "STANDARD":
        del answer["StorageClass"]
    if head.tags:
        answer["TagCount"] = len(head.tags)
    return answer


def checksum_members(head: Head) -> dict[str, Any]:
    """The object's checksums and how they came about, as members; empty where it has none."""
    if not head.checksums:
        return {}
    return {**checksum.members(head.checksums), "ChecksumType": head.checksum_type}


def _drop_chunking(headers: dict[str, Any]) -> None:
    """`aws-chunked` says how a body travelled, not what it is."""
    codings = [coding.strip() for coding in headers["ContentEncoding"].split(",")]
    kept = ",".join(coding for coding in codings if coding and coding != "aws-chunked")
    if kept:
        headers["ContentEncoding"] = kept
    else:
        del headers["ContentEncoding"]


def _check_storage_class(name: str | None) -> None:
    if name in _ARCHIVES:
        raise Fault(
            "InvalidStorageClass",
            f"The storage class {name} is not offered: whatever is stored here can be read at "
            "once. Leave StorageClass out.",
            StorageClassRequested=name,
        )
