"""Which bytes of an object a read asks for: the `Range` header and a part's number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill.platform.fault import Fault

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(\d{0,20})\s*-\s*(\d{0,20})\s*", re.IGNORECASE)
_COPY_RANGE: Final = re.compile(r"bytes=(\d{1,20})-(\d{1,20})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`length` bytes from `offset` of an object of `size`."""

    offset: int
    length: int
    size: int

    def __str__(self) -> str:
        return f"bytes {self.offset}-{self.offset + self.length - 1}/{self.size}"


def parse_range(header: str, size: int) -> ByteRange | None:
    """The one range of a `Range` header, or None where the header is to be ignored.

    A header that is malformed or names several ranges is ignored, as S3 and RFC 9110 have it; one
    that begins behind the end is refused.
    """
    match = _RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        offset = size - length
    elif last and int(last) < int(first):
        return None
    else:
        offset = int(first)
        length = min(int(last) + 1 if last else size, size) - offset
    if length <= 0:
        raise Fault(
            "InvalidRange",
            "The requested range is not satisfiable.",
            RangeRequested=header[:200],
            ActualObjectSize=size,
        )
    return ByteRange(offset, length, size)


def part_range(number: int, sizes: Sequence[int], size: int) -> ByteRange:
    """Where part `number` lies; an object that was put in one piece is its own part 1."""
    sizes = sizes or (size,)
    if not 1 <= number <= len(sizes):
        raise Fault(
            "InvalidPartNumber",
            f"The requested partnumber is not satisfiable: {number} of {len(sizes)}.",
            PartNumberRequested=number,
            ActualPartCount=len(sizes),
        )
    return ByteRange(sum(sizes[: number - 1]), sizes[number - 1], size)


def parse_copy_range(header: str, size: int) -> ByteRange:
    """The range of `x-amz-copy-source-range`, which must lie within the source."""
    match = _COPY_RANGE.fullmatch(header)
    if match is None or int(match[1]) > int(match[2]):
        raise Fault(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy.",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header[:200],
        )
    first, last = int(match[1]), int(match[2])
    if last >= size:
        raise Fault(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}.",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header[:200],
        )
    return ByteRange(first, last + 1 - first, size)
