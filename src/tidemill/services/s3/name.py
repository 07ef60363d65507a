"""Which names buckets and keys may have, by the S3 user guide's rules.

A key is any UTF-8 text up to 1,024 bytes and is never interpreted: `a//b`, `..` and a trailing
slash are names like any other.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from tidemill.platform.fault import Fault

KEY_BYTES_MAX: Final = 1024
AFTER_PREFIX: Final = b"\xff"
"""No UTF-8 text holds this byte, so `prefix + AFTER_PREFIX` sorts behind all keys of a prefix."""

_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?![.-])|-(?!\.)){1,61}[a-z0-9]")
_IP_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket_name(name: str) -> None:
    """Refuse a name that S3 would not let a new bucket have."""
    if (
        _BUCKET.fullmatch(name)
        and not _IP_ADDRESS.fullmatch(name)
        and not name.startswith(_RESERVED_STARTS)
        and not name.endswith(_RESERVED_ENDS)
    ):
        return
    raise Fault(
        "InvalidBucketName",
        f"The specified bucket is not valid: {name!r} must be 3 to 63 lower-case letters, digits, "
        "dots and hyphens, begin and end with a letter or digit, and not be an IP address.",
        BucketName=name,
    )


def encode_key(key: str) -> bytes:
    """The bytes under which `key` is kept and sorted."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise Fault(
            "InvalidURI", "Couldn't parse the specified URI: the key is no UTF-8."
        ) from None
    if len(encoded) > KEY_BYTES_MAX:
        raise Fault(
            "KeyTooLongError",
            f"Your key is too long: {len(encoded)} bytes where {KEY_BYTES_MAX} are allowed.",
            Size=len(encoded),
            MaxSizeAllowed=KEY_BYTES_MAX,
        )
    return encoded


def parse_copy_source(source: str) -> tuple[str, str]:
    """Bucket and key of an `x-amz-copy-source`: percent-encoded, with or without a first slash."""
    path, _, query = source.partition("?")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not (bucket and slash and key):
        raise Fault(
            "InvalidArgument",
            f"Invalid copy source encoding: {source[:200]!r} is not bucket/key.",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=source[:200],
        )
    if query.startswith("versionId="):
        check_version(query.removeprefix("versionId="))
    return bucket, key


def check_version(version: str | None) -> None:
    """Buckets keep one version of each key, which S3 calls `null`."""
    if version not in (None, "null", ""):
        raise Fault(
            "InvalidArgument",
            f"Invalid version id specified: {version!r}; buckets are not versioned, so that the "
            "only version of an object is 'null'.",
            ArgumentName="versionId",
            ArgumentValue=version,
        )
