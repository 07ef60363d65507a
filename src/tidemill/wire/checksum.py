"""Checksums of payloads, as clients state them in headers and trailers.

CRC32, the SHAs and MD5 are C code. CRC32C and CRC64NVME have no implementation in the standard
library: here they are tables of Python, eight bytes a step, some 10 MB a second. That is enough
for documents; an object's content is checked by S3 itself.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Final, Protocol


class Checksum(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None:
        """Take in more of the payload."""

    def digest(self) -> bytes:
        """The checksum of all that was taken in, most significant byte first."""


class Crc32:
    """The CRC of zlib."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take in more of the payload."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """The CRC in four bytes."""
        return self._value.to_bytes(4, "big")


class TableCrc:
    """A reflected CRC of up to 64 bits that starts from and ends with all bits inverted."""

    def __init__(self, polynomial: int, bits: int) -> None:
        self._tables = _tables(polynomial)
        self._mask = (1 << bits) - 1
        self._value = self._mask

    def update(self, data: bytes, /) -> None:
        """Take in more of the payload: eight bytes a step, the rest one by one."""
        value = self._value
        t0, t1, t2, t3, t4, t5, t6, t7 = self._tables
        whole = len(data) & ~7
        for (word,) in struct.iter_unpack("<Q", memoryview(data)[:whole]):
            x = word ^ value
            value = (
                t7[x & 255]
                ^ t6[x >> 8 & 255]
                ^ t5[x >> 16 & 255]
                ^ t4[x >> 24 & 255]
                ^ t3[x >> 32 & 255]
                ^ t2[x >> 40 & 255]
                ^ t1[x >> 48 & 255]
                ^ t0[x >> 56]
            )
        for byte in data[whole:]:
            value = t0[(value ^ byte) & 255] ^ (value >> 8)
        self._value = value

    def digest(self) -> bytes:
        """The CRC in as many bytes as it has."""
        return (self._value ^ self._mask).to_bytes(self._mask.bit_length() // 8, "big")


@cache
def _tables(polynomial: int) -> tuple[list[int], ...]:
    """For each of eight positions, what every byte adds to the CRC eight bytes later."""
    first = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        first.append(value)
    tables = [first]
    for _ in range(7):
        tables.append([first[value & 255] ^ (value >> 8) for value in tables[-1]])
    return tuple(tables)


ALGORITHMS: Final[dict[str, Callable[[], Checksum]]] = {
    "crc32": Crc32,
    "crc32c": lambda: TableCrc(0x82F63B78, 32),
    "crc64nvme": lambda: TableCrc(0x9A6C9329AC4BC9B5, 64),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
"""The algorithms by the ending of their header, `x-amz-checksum-crc32`."""
