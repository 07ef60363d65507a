"""Checksums agree with published values and with what the parts of a whole say."""

from __future__ import annotations

import base64
import hashlib
import random
import zlib

import pytest

from tidemill.platform.fault import Fault
from tidemill.services.s3 import checksum, crc

CHECK = b"123456789"
PUBLISHED = {"CRC32": 0xCBF43926, "CRC32C": 0xE3069283, "CRC64NVME": 0xAE8B14860A799888}


def of(name: str, data: bytes) -> str:
    return checksum.digest((data,), (name,)).checksums[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_check_values_are_the_published_ones(name: str) -> None:
    expected = PUBLISHED[name].to_bytes(checksum.LENGTHS[name], "big")
    assert base64.b64decode(of(name, CHECK)) == expected


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 65_535, 65_536, 200_001])
def test_folding_gives_what_the_c_library_gives(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc._update(*crc.CRC32, data, 7) == zlib.crc32(data, 7)


@pytest.mark.parametrize("name", checksum.LENGTHS)
def test_pieces_give_the_same_as_the_whole(name: str) -> None:
    data = random.Random(1).randbytes(100_000)
    pieces = checksum.digest((data[:1], data[1:70_000], data[70_000:]), (name,))
    assert pieces.checksums[name] == of(name, data)
    assert pieces.md5 == hashlib.md5(data).digest()


@pytest.mark.parametrize("name", checksum.POLYNOMIALS)
def test_parts_give_the_checksum_of_the_whole(name: str) -> None:
    parts = [random.Random(seed).randbytes(size) for seed, size in enumerate((9, 70_000, 0, 31))]
    known = [(of(name, part), len(part)) for part in parts]
    assert checksum.full_object(name, known) == of(name, b"".join(parts))


def test_a_composite_is_the_checksum_of_the_parts_checksums() -> None:
    digests = [hashlib.sha256(part).digest() for part in (b"a", b"b")]
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    given = [base64.b64encode(digest).decode() for digest in digests]
    assert checksum.composite("SHA256", given) == f"{expected}-2"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ContentMD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}, "BadDigest"),
        ({"ContentMD5": "not base64"}, "InvalidDigest"),
        ({"ContentMD5": "YWJj"}, "InvalidDigest"),
        ({"ChecksumCRC32": of("CRC32", b"other")}, "BadDigest"),
        ({"ChecksumSHA256": "YWJj"}, "InvalidRequest"),
    ],
)
def test_bytes_that_are_not_what_was_stated_are_refused(params: dict[str, str], code: str) -> None:
    digest = checksum.digest((b"body",), checksum.wanted(params))
    with pytest.raises(Fault) as caught:
        checksum.verify(params, digest)
    assert caught.value.code == code


def test_two_checksums_or_an_unknown_one_are_refused() -> None:
    with pytest.raises(Fault, match="single"):
        checksum.wanted({"ChecksumCRC32": "a", "ChecksumSHA1": "b"})
    with pytest.raises(Fault, match="use one of CRC32"):
        checksum.wanted({"ChecksumXXHASH3": "a"})
