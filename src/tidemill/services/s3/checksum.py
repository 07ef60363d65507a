"""The digests of an object's bytes: its ETag and the checksums that callers choose among.

Values are base64 text as S3's members and headers carry them. A checksum that comes with a
request is verified; one that was only named is worked out; either is kept with the object.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tidemill.platform.fault import Fault
from tidemill.services.s3 import crc

LENGTHS: Final = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
}
"""The algorithms that are served, and the bytes of their values."""

UNSERVED: Final = ("XXHASH64", "XXHASH3", "XXHASH128")
POLYNOMIALS: Final = {"CRC32": crc.CRC32, "CRC32C": crc.CRC32C, "CRC64NVME": crc.CRC64NVME}
"""Those whose value for a whole follows from the values of its parts (FULL_OBJECT)."""

_MEMBERS: Final = {name: f"Checksum{name}" for name in (*LENGTHS, *UNSERVED)}


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known of some bytes: their length, MD5 and checksums by algorithm."""

    size: int
    md5: bytes
    checksums: Mapping[str, str]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    __slots__ = ("_length", "_update", "_value")

    def __init__(self, update: crc.Update, length: int) -> None:
        self._update = update
        self._length = length
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._length, "big")


def digest(chunks: Iterable[bytes], algorithms: Collection[str]) -> Digest:
    """Read `chunks` once and work out everything that is wanted of them."""
    md5 = hashlib.md5(usedforsecurity=False)
    hashes = {name: _start(name) for name in algorithms}
    size = 0
    for chunk in chunks:
        size += len(chunk)
        md5.update(chunk)
        for each in hashes.values():
            each.update(chunk)
    checksums = {name: _text(each.digest()) for name, each in hashes.items()}
    return Digest(size, md5.digest(), checksums)


def wanted(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The algorithms a write asks for, by a value or by name; at most one value is allowed."""
    given = [name for name, member in _MEMBERS.items() if params.get(member) is not None]
    if len(given) > 1:
        raise Fault(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    named = params.get("ChecksumAlgorithm")
    names = given or ([named] if named else [])
    for name in names:
        check_algorithm(name)
    return tuple(names)


def check_algorithm(name: str) -> None:
    """Refuse an algorithm that S3 or this server does not have."""
    if name in UNSERVED:
        raise Fault(
            "NotImplemented",
            f"The checksum algorithm {name} is not served here; use one of {', '.join(LENGTHS)}.",
        )
    if name not in LENGTHS:
        raise Fault(
            "InvalidRequest",
            f"Checksum algorithm provided is unsupported: {name!r}. Please try again with any of "
            f"the valid types: {', '.join(LENGTHS)}.",
        )


def verify(params: Mapping[str, Any], found: Digest) -> None:
    """Refuse bytes whose digests are not those that the request states."""
    if (stated := params.get("ContentMD5")) is not None:
        if (raw := _bytes(stated)) is None or len(raw) != 16:
            raise Fault("InvalidDigest", "The Content-MD5 you specified was invalid.")
        if raw != found.md5:
            raise Fault(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
                ExpectedDigest=stated,
                CalculatedDigest=_text(found.md5),
            )
    for name, value in found.checksums.items():
        stated = params.get(_MEMBERS[name])
        if stated is not None and stated != value:
            raise mismatch(name, stated)


def mismatch(name: str, stated: str) -> Fault:
    """The refusal of a checksum that is malformed or not that of the bytes."""
    raw = _bytes(stated)
    if raw is None or len(raw) != LENGTHS[name]:
        return Fault(
            "InvalidRequest", f"Value for x-amz-checksum-{name.lower()} header is invalid."
        )
    return Fault("BadDigest", f"The {name} you specified did not match the calculated checksum.")


def members(checksums: Mapping[str, str]) -> dict[str, Any]:
    """Checksums as members of an answer."""
    return {_MEMBERS[name]: value for name, value in checksums.items()}


def stated_values(params: Mapping[str, Any]) -> dict[str, str]:
    """The checksum values that a request carries, by algorithm."""
    return {
        name: params[member] for name, member in _MEMBERS.items() if params.get(member) is not None
    }


def composite(name: str, parts: Sequence[str]) -> str:
    """The checksum of the parts' checksums, with their number, as multipart objects have it."""
    each = _start(name)
    for part in parts:
        each.update(base64.b64decode(part))
    return f"{_text(each.digest())}-{len(parts)}"


def full_object(name: str, parts: Sequence[tuple[str, int]]) -> str:
    """The checksum of a whole from `(checksum, size)` of each part, without reading a byte."""
    polynomial = POLYNOMIALS[name]
    value = 0
    for text, size in parts:
        part = int.from_bytes(base64.b64decode(text), "big")
        value = crc.combine(polynomial, value, part, size)
    return _text(value.to_bytes(LENGTHS[name], "big"))


def multipart_etag(md5s: Sequence[str]) -> str:
    """The MD5 of the parts' MD5s, with their number: no MD5 of the content itself."""
    joined = b"".join(bytes.fromhex(md5) for md5 in md5s)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(md5s)}"


def _start(name: str) -> _Hash:
    match name:
        case "CRC32":
            return _Crc(zlib.crc32, 4)
        case "CRC32C":
            return _Crc(crc.updater("crc32c"), 4)
        case "CRC64NVME":
            return _Crc(crc.updater("crc64nvme"), 8)
        case _:
            return hashlib.new(name, usedforsecurity=False)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
