"""Ranges are read as RFC 9110 and S3 have them."""

from __future__ import annotations

import pytest

from tidemill.platform.fault import Fault
from tidemill.services.s3.byte_range import ByteRange, parse_copy_range, parse_range, part_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=2-2", (2, 1)),
        ("bytes=5-", (5, 5)),
        ("bytes=5-999", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-999", (0, 10)),
        ("Bytes = 1 - 2", (1, 2)),
    ],
)
def test_a_range_names_its_bytes(header: str, expected: tuple[int, int]) -> None:
    assert parse_range(header, 10) == ByteRange(*expected, 10)


@pytest.mark.parametrize(
    "header", ["", "bytes=-", "bytes=4-2", "bytes=0-1,4-5", "items=0-1", "bytes=a-b"]
)
def test_what_is_no_single_range_is_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_behind_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(Fault) as caught:
        parse_range(header, size)
    assert caught.value.code == "InvalidRange"
    assert caught.value.members["ActualObjectSize"] == size


def test_content_range_counts_from_zero_and_includes_the_last_byte() -> None:
    assert str(ByteRange(2, 3, 10)) == "bytes 2-4/10"


def test_parts_follow_each_other() -> None:
    assert part_range(2, [5, 3, 2], 10) == ByteRange(5, 3, 10)
    assert part_range(1, [], 10) == ByteRange(0, 10, 10)
    with pytest.raises(Fault, match="3 of 2"):
        part_range(3, [5, 5], 10)


@pytest.mark.parametrize("header", ["bytes=0-10", "bytes=5-", "0-5", "bytes=5-4"])
def test_a_copied_range_must_lie_within_the_source(header: str) -> None:
    assert parse_copy_range("bytes=0-9", 10) == ByteRange(0, 10, 10)
    with pytest.raises(Fault) as caught:
        parse_copy_range(header, 10)
    assert caught.value.code == "InvalidArgument"
