"""Objects: what is put is what is got, under any legal key, on any condition, after any end."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidemill.platform.body import SpooledBody
from tidemill.platform.fault import Fault
from tidemill.platform.store import StoreError
from tidemill.services.s3.blob import INLINE_BYTES_MAX

from .conftest import payload

SIZES = [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3_000_000]
KEYS = ["a", "a//b", "..", "../x", "a/./b", "trailing/", "/leading", "k" * 1024, "ü" * 512,
        "\U0001f680 \t~%2F+", "new\nline", "\x01"]  # fmt: skip


def spooled(folder: Path, data: bytes) -> SpooledBody:
    path = folder / f"spool-{len(data)}"
    path.write_bytes(data)
    return SpooledBody(path, len(data))


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back_after_a_restart(s3, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    body = spooled(s3.folder, data) if size > 1024**2 else data
    etag = s3.put("key", body)["ETag"]
    assert etag == f'"{hashlib.md5(data).hexdigest()}"'
    s3.restart()
    assert s3.get("key") == data
    head = s3.call("HeadObject", Bucket="bucket", Key="key")
    assert (head["ContentLength"], head["ETag"]) == (size, etag)
    assert head["ContentType"] == "binary/octet-stream"
    if size:
        assert s3.get("key", Range=f"bytes={size - 1}-") == data[-1:]


def test_any_legal_key_is_a_key_of_its_own(s3) -> None:
    for key in KEYS:
        s3.put(key, key.encode())
    s3.put("big//..", b"." * (INLINE_BYTES_MAX + 1))
    assert all(s3.get(key) == key.encode() for key in KEYS)
    assert s3.keys() == sorted([*KEYS, "big//.."], key=str.encode)
    assert all(path.is_relative_to(s3.folder / "blobs") for path in s3.files())


def test_a_key_of_more_than_1024_bytes_is_refused(s3) -> None:
    refusal = s3.refused("PutObject", Bucket="bucket", Key="ü" * 513, Body=b"")
    assert refusal.code == "KeyTooLongError"


def test_headers_metadata_and_tags_come_back(s3) -> None:
    s3.put(
        "key",
        b"{}",
        ContentType="application/json",
        CacheControl="no-cache",
        ContentEncoding="aws-chunked,gzip",
        Expires=datetime(2030, 1, 1, tzinfo=UTC),
        Metadata={"Run-Id": "7", "empty": ""},
        Tagging="team=blue&empty=",
    )
    head = s3.call("HeadObject", Bucket="bucket", Key="key")
    assert head["ContentType"] == "application/json"
    assert head["ContentEncoding"] == "gzip"
    assert head["Expires"] == datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    assert head["Metadata"] == {"run-id": "7", "empty": ""}
    assert head["TagCount"] == 2
    overridden = s3.call("GetObject", Bucket="bucket", Key="key", ResponseContentType="text/plain")
    assert overridden["ContentType"] == "text/plain"


def test_tags_are_replaced_without_touching_the_object(s3) -> None:
    s3.put("key", b"1", Tagging="a=1")
    before = s3.call("HeadObject", Bucket="bucket", Key="key")["LastModified"]
    s3.clock.advance(5000)
    tags = [{"Key": "b", "Value": "2"}]
    s3.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging={"TagSet": tags})
    assert s3.call("GetObjectTagging", Bucket="bucket", Key="key")["TagSet"] == tags
    s3.call("DeleteObjectTagging", Bucket="bucket", Key="key")
    assert s3.call("GetObjectTagging", Bucket="bucket", Key="key")["TagSet"] == []
    assert s3.call("HeadObject", Bucket="bucket", Key="key")["LastModified"] == before
    assert s3.refused("PutObject", Bucket="bucket", Key="k", Tagging="aws:x=1").code == "InvalidTag"


def test_what_is_missing_is_told_by_its_code(s3) -> None:
    assert s3.refused("GetObject", Bucket="bucket", Key="none").members["Key"] == "none"
    assert s3.refused("GetObject", Bucket="nobody", Key="none").code == "NoSuchBucket"
    assert s3.call("DeleteObject", Bucket="bucket", Key="none") == {}


def test_what_would_change_an_object_meaning_is_refused(s3) -> None:
    for member, value, code in [
        ("ServerSideEncryption", "AES256", "NotImplemented"),
        ("ACL", "public-read", "AccessControlListNotSupported"),
        ("ObjectLockMode", "GOVERNANCE", "InvalidRequest"),
        ("StorageClass", "GLACIER", "InvalidStorageClass"),
        ("Metadata", {"a": "x" * 3000}, "MetadataTooLarge"),
    ]:
        refusal = s3.refused("PutObject", Bucket="bucket", Key="k", Body=b"", **{member: value})
        assert refusal.code == code
    assert s3.keys() == []


@pytest.mark.parametrize("size", [100, INLINE_BYTES_MAX + 100])
def test_ranges_and_parts_of_a_plain_object(s3, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    s3.put("key", data)
    answer = s3.call("GetObject", Bucket="bucket", Key="key", Range="bytes=10-19")
    assert payload(answer["Body"]) == data[10:20]
    assert (answer["ContentRange"], answer["ContentLength"]) == (f"bytes 10-19/{size}", 10)
    assert s3.get("key", Range="bytes=-5") == data[-5:]
    assert "ContentRange" not in s3.call("GetObject", Bucket="bucket", Key="key", Range="lines=1-2")
    assert s3.get("key", PartNumber=1) == data
    refusal = s3.refused("GetObject", Bucket="bucket", Key="key", Range=f"bytes={size}-")
    assert refusal.code == "InvalidRange"
    refusal = s3.refused("GetObject", Bucket="bucket", Key="key", PartNumber=2)
    assert refusal.code == "InvalidPartNumber"


def test_reads_on_condition(s3) -> None:
    etag = s3.put("key", b"1")["ETag"]
    then = datetime.fromtimestamp(s3.clock.now().wall_ms // 1000, UTC)
    later, earlier = then + timedelta(seconds=1), then - timedelta(seconds=1)
    passing = [
        {"IfMatch": etag}, {"IfMatch": "*"}, {"IfNoneMatch": '"x"'}, {"IfUnmodifiedSince": then},
        {"IfModifiedSince": earlier}, {"IfMatch": etag, "IfUnmodifiedSince": earlier},
        {"IfNoneMatch": '"x"', "IfModifiedSince": later},
    ]  # fmt: skip
    for condition in passing:
        assert s3.get("key", **condition) == b"1"
    for condition, code in [
        ({"IfMatch": '"x"'}, "PreconditionFailed"),
        ({"IfUnmodifiedSince": earlier}, "PreconditionFailed"),
        ({"IfNoneMatch": f'"x", {etag}'}, "NotModified"),
        ({"IfModifiedSince": then}, "NotModified"),
    ]:
        assert s3.refused("HeadObject", Bucket="bucket", Key="key", **condition).code == code


@pytest.mark.parametrize("size", [10, INLINE_BYTES_MAX + 1])
def test_of_concurrent_first_puts_exactly_one_wins(s3, size: int) -> None:
    async def race() -> list[object]:
        puts = [
            s3.ask("PutObject", Bucket="bucket", Key="k", Body=bytes([i]) * size, IfNoneMatch="*")
            for i in range(20)
        ]
        return await asyncio.gather(*puts, return_exceptions=True)

    results = s3.run(race())
    winners = [i for i, result in enumerate(results) if not isinstance(result, Exception)]
    losers = [result for result in results if isinstance(result, Fault)]
    assert len(winners) == 1
    assert {fault.code for fault in losers} == {"PreconditionFailed"}
    assert s3.get("k") == bytes(winners) * size
    assert len(s3.files()) == (size > INLINE_BYTES_MAX)


def test_a_conditional_put_whose_answer_was_lost_succeeds_again(s3) -> None:
    put = {"Bucket": "bucket", "Key": "k", "Body": b"1", "IfNoneMatch": "*"}
    first = s3.call("PutObject", retry_key="id-1", **put)
    s3.restart()
    assert s3.call("PutObject", retry_key="id-1", **put) == first
    assert s3.refused("PutObject", retry_key="id-2", **put).code == "PreconditionFailed"


def test_writes_and_deletes_on_condition(s3) -> None:
    missing = s3.refused("PutObject", Bucket="bucket", Key="k", Body=b"", IfMatch='"x"')
    assert missing.code == "NoSuchKey"
    etag = s3.put("k", b"1")["ETag"]
    put = {"Bucket": "bucket", "Key": "k", "Body": b"2"}
    assert s3.refused("PutObject", **put, IfMatch='"x"').code == "PreconditionFailed"
    refusal = s3.refused("DeleteObject", Bucket="bucket", Key="k", IfMatch='"x"')
    assert refusal.code == "PreconditionFailed"
    newer = s3.call("PutObject", **put, IfMatch=etag)["ETag"]
    s3.call("DeleteObject", Bucket="bucket", Key="k", IfMatch=newer)
    assert s3.keys() == []


def test_checksums_are_verified_kept_and_returned_when_asked_for(s3) -> None:
    answer = s3.put("k", b"123456789", ChecksumAlgorithm="CRC32C")
    assert (answer["ChecksumCRC32C"], answer["ChecksumType"]) == ("4waSgw==", "FULL_OBJECT")
    assert "ChecksumCRC32C" not in s3.call("GetObject", Bucket="bucket", Key="k")
    read = s3.call("GetObject", Bucket="bucket", Key="k", ChecksumMode="ENABLED")
    assert read["ChecksumCRC32C"] == "4waSgw=="
    part = s3.call("GetObject", Bucket="bucket", Key="k", ChecksumMode="ENABLED", Range="bytes=0-1")
    assert "ChecksumCRC32C" not in part
    bad = s3.refused("PutObject", Bucket="bucket", Key="k", Body=b"x", ChecksumCRC32C="4waSgw==")
    assert bad.code == "BadDigest"
    assert s3.get("k") == b"123456789"
    attributes = s3.call(
        "GetObjectAttributes", Bucket="bucket", Key="k", ObjectAttributes=["Checksum", "ObjectSize"]
    )
    assert attributes["ObjectSize"] == 9
    assert attributes["Checksum"]["ChecksumCRC32C"] == "4waSgw=="


@pytest.mark.parametrize("size", [0, 10, INLINE_BYTES_MAX + 1])
def test_copies_live_on_without_their_source(s3, size: int) -> None:
    s3.put("a//ü", b"c" * size, Metadata={"m": "1"}, ContentType="text/plain", Tagging="t=1")
    copy = {"Bucket": "bucket", "CopySource": "/bucket/a//%C3%BC"}
    s3.call("CopyObject", Key="kept", **copy)
    s3.call(
        "CopyObject", Key="own", MetadataDirective="REPLACE", TaggingDirective="REPLACE",
        Metadata={"m": "2"}, **copy,
    )  # fmt: skip
    s3.call("DeleteObject", Bucket="bucket", Key="a//ü")
    s3.clock.advance(3_600_000)
    s3.tidy()
    kept = s3.call("HeadObject", Bucket="bucket", Key="kept")
    own = s3.call("HeadObject", Bucket="bucket", Key="own")
    assert (kept["Metadata"], kept["ContentType"], kept["TagCount"]) == (
        {"m": "1"},
        "text/plain",
        1,
    )
    assert (own["Metadata"], own["ContentType"]) == ({"m": "2"}, "binary/octet-stream")
    assert "TagCount" not in own
    assert s3.get("kept") == s3.get("own") == b"c" * size


def test_copies_are_refused_as_on_aws(s3) -> None:
    etag = s3.put("k", b"1")["ETag"]
    for params, code in [
        ({"CopySource": "bucket/none"}, "NoSuchKey"),
        ({"CopySource": "nobody/k"}, "NoSuchBucket"),
        ({"CopySource": "bucket"}, "InvalidArgument"),
        ({"CopySource": "bucket/k", "CopySourceIfNoneMatch": etag}, "PreconditionFailed"),
        ({"CopySource": "bucket/k", "CopySourceIfMatch": '"x"'}, "PreconditionFailed"),
        ({"CopySource": "bucket/k"}, "InvalidRequest"),
    ]:
        assert s3.refused("CopyObject", Bucket="bucket", Key="k", **params).code == code


def test_many_are_deleted_at_once(s3) -> None:
    for key in ("a", "b", "c"):
        s3.put(key, b"1")
    objects = [{"Key": "a"}, {"Key": "b", "ETag": '"x"'}, {"Key": "none"}, {"Key": "a"}]
    answer = s3.call("DeleteObjects", Bucket="bucket", Delete={"Objects": objects})
    assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["a", "a", "none"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [
        ("b", "PreconditionFailed")
    ]
    quiet = {"Objects": [{"Key": "b"}], "Quiet": True}
    assert s3.call("DeleteObjects", Bucket="bucket", Delete=quiet) == {}
    assert s3.keys() == ["c"]
    too_many = {"Objects": [{"Key": str(i)} for i in range(1001)]}
    assert s3.refused("DeleteObjects", Bucket="bucket", Delete=too_many).code == "MalformedXML"


def test_replaced_and_deleted_bytes_leave_the_disk_after_a_grace(s3) -> None:
    big = INLINE_BYTES_MAX + 1
    s3.put("k", b"1" * big)
    read = s3.call("GetObject", Bucket="bucket", Key="k")["Body"]
    s3.put("k", b"2" * big)
    s3.tidy()
    assert payload(read) == b"1" * big, "who was just told where it lies can still read it"
    s3.clock.advance(3_600_000)
    s3.tidy()
    assert not read.path.exists()
    assert len(s3.files()) == 1
    s3.call("DeleteObject", Bucket="bucket", Key="k")
    s3.clock.advance(3_600_000)
    s3.tidy()
    assert s3.files() == []
    assert s3.run(s3.store.fetch("SELECT count(*) FROM s3_blob")) == [(0,)]


def test_a_file_that_a_crash_left_without_a_row_is_swept(s3) -> None:
    s3.put("k", b"1" * (INLINE_BYTES_MAX + 1))
    (kept,) = s3.files()
    orphan = kept.with_name(f"{int(kept.name, 16) + 100:016x}")
    orphan.write_bytes(b"half an object")
    s3.restart()
    s3.put("new", b"2" * (INLINE_BYTES_MAX + 1))
    s3.tidy()
    assert not orphan.exists()
    assert len(s3.files()) == 2
    assert s3.get("k") == b"1" * (INLINE_BYTES_MAX + 1)


def test_a_put_whose_commit_failed_never_was(s3, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(writes: object) -> None:
        raise StoreError("The disk that holds the database is full.")

    s3.put("k", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(s3.store, "commit", fail)
        with pytest.raises(StoreError):
            s3.put("k", b"new" * INLINE_BYTES_MAX)
    assert len(s3.files()) == 1, "the bytes come before the row"
    s3.restart()
    s3.tidy()
    assert s3.files() == []
    assert s3.get("k") == b"old"
