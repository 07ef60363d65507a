"""Multipart uploads: parts in any order become one object, once, or none at all."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

MIB = 1024**2
KEY = {"Bucket": "bucket", "Key": "big/object"}


def begin(s3: Any, **params: Any) -> dict[str, Any]:
    return {**KEY, "UploadId": s3.call("CreateMultipartUpload", **KEY, **params)["UploadId"]}


def upload(s3: Any, call: dict[str, Any], number: int, body: bytes, **params: Any) -> Any:
    part = s3.call("UploadPart", **call, PartNumber=number, Body=body, **params)
    return {"PartNumber": number, **part}


def complete(s3: Any, call: dict[str, Any], parts: list[Any], **params: Any) -> Any:
    return s3.call("CompleteMultipartUpload", **call, MultipartUpload={"Parts": parts}, **params)


def test_parts_become_one_object_in_order_of_their_numbers(s3: Any) -> None:
    call = begin(s3, ContentType="text/plain", Metadata={"m": "1"})
    second = upload(s3, call, 7, b"b" * 5 * MIB)
    last = upload(s3, call, 9, b"c" * 10)
    upload(s3, call, 2, b"wrong")
    first = upload(s3, call, 2, b"a" * 5 * MIB)
    upload(s3, call, 8, b"left out")
    assert s3.keys() == []
    answer = complete(s3, call, [first, second, last])
    bodies = (b"a" * 5 * MIB, b"b" * 5 * MIB, b"c" * 10)
    md5s = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert answer["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    s3.restart()
    assert s3.get("big/object") == b"".join(bodies)
    head = s3.call("HeadObject", **KEY, PartNumber=2)
    assert (head["PartsCount"], head["ContentLength"]) == (3, 5 * MIB)
    assert head["ContentRange"] == f"bytes {5 * MIB}-{10 * MIB - 1}/{10 * MIB + 10}"
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"m": "1"})
    assert s3.get("big/object", PartNumber=3) == b"c" * 10
    s3.clock.advance(3_600_000)
    s3.tidy()
    assert len(s3.files()) == 1
    assert s3.refused("ListParts", **call).code == "NoSuchUpload"


def test_completing_again_gives_the_same_answer(s3: Any) -> None:
    call = begin(s3)
    parts = [upload(s3, call, 1, b"only")]
    assert complete(s3, call, parts) == complete(s3, call, parts)
    assert s3.get("big/object") == b"only"
    s3.put("big/object", b"newer")
    refusal = s3.refused("CompleteMultipartUpload", **call, MultipartUpload={"Parts": parts})
    assert refusal.code == "NoSuchUpload"


def test_wrong_lists_of_parts_are_refused_and_the_upload_goes_on(s3: Any) -> None:
    call = begin(s3)
    one, two = upload(s3, call, 1, b"small"), upload(s3, call, 2, b"small")
    for parts, code in [
        ([two, one], "InvalidPartOrder"),
        ([one, one], "InvalidPartOrder"),
        ([one, two], "EntityTooSmall"),
        ([one, {"PartNumber": 3, "ETag": one["ETag"]}], "InvalidPart"),
        ([{"PartNumber": 1, "ETag": '"x"'}], "InvalidPart"),
        ([], "MalformedXML"),
    ]:
        refusal = s3.refused("CompleteMultipartUpload", **call, MultipartUpload={"Parts": parts})
        assert refusal.code == code
    refusal = s3.refused(
        "CompleteMultipartUpload", **call, MultipartUpload={"Parts": [one]}, MpuObjectSize=99
    )
    assert refusal.code == "InvalidRequest"
    complete(s3, call, [one], MpuObjectSize=5)


def test_an_aborted_upload_is_gone_with_its_parts(s3: Any) -> None:
    call = begin(s3)
    upload(s3, call, 1, b"1" * 100)
    s3.call("AbortMultipartUpload", **call)
    for operation, params in [
        ("AbortMultipartUpload", {}),
        ("UploadPart", {"PartNumber": 1, "Body": b"late"}),
        ("CompleteMultipartUpload", {"MultipartUpload": {"Parts": [{"PartNumber": 1}]}}),
    ]:
        assert s3.refused(operation, **call, **params).code == "NoSuchUpload"
    s3.clock.advance(3_600_000)
    s3.tidy()
    assert s3.files() == []


def test_parts_and_uploads_are_listed_in_pages(s3: Any) -> None:
    call = begin(s3)
    for number in (3, 1, 2):
        upload(s3, call, number, b"x" * number)
    page = s3.call("ListParts", **call, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in page["Parts"]] == [(1, 1), (2, 2)]
    rest = s3.call("ListParts", **call, PartNumberMarker=page["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [3]
    assert not rest["IsTruncated"]
    for key in ("a", "big/other", "c"):
        s3.call("CreateMultipartUpload", Bucket="bucket", Key=key)
    begin(s3)
    found, marker = [], {}
    while True:
        page = s3.call("ListMultipartUploads", Bucket="bucket", MaxUploads=2, **marker)
        found += [entry["Key"] for entry in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert found == ["a", "big/object", "big/object", "big/other", "c"]
    rolled = s3.call("ListMultipartUploads", Bucket="bucket", Delimiter="/")
    assert [entry["Key"] for entry in rolled["Uploads"]] == ["a", "c"]
    assert rolled["CommonPrefixes"] == [{"Prefix": "big/"}]


@pytest.mark.parametrize("size", [1000, 100_000])
def test_parts_are_copied_from_other_objects(s3: Any, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    s3.put("source", data)
    call = begin(s3)
    copy = {**call, "CopySource": "bucket/source"}
    ranged = s3.call("UploadPartCopy", **copy, PartNumber=1, CopySourceRange="bytes=10-19")
    assert ranged["CopyPartResult"]["ETag"] == f'"{hashlib.md5(data[10:20]).hexdigest()}"'
    whole = s3.call("UploadPartCopy", **copy, PartNumber=2)
    s3.call("DeleteObject", Bucket="bucket", Key="source")
    complete(s3, call, [{"PartNumber": 2, "ETag": whole["CopyPartResult"]["ETag"]}])
    assert s3.get("big/object") == data


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_checksums_of_parts_make_that_of_the_whole(lifted: Any, kind: str) -> None:
    call = begin(lifted, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    bodies = [b"first", b"second!", b"third"]
    parts = [upload(lifted, call, i, body) for i, body in enumerate(bodies, 1)]
    assert base64.b64decode(parts[0]["ChecksumCRC32"]) == zlib.crc32(b"first").to_bytes(4, "big")
    answer = complete(lifted, call, parts)
    if kind == "FULL_OBJECT":
        expected = zlib.crc32(b"".join(bodies)).to_bytes(4, "big")
        assert base64.b64decode(answer["ChecksumCRC32"]) == expected
    else:
        assert answer["ChecksumCRC32"].endswith("-3")
    read = lifted.call("GetObject", **KEY, ChecksumMode="ENABLED")
    assert (read["ChecksumCRC32"], read["ChecksumType"]) == (answer["ChecksumCRC32"], kind)
    part = lifted.call("HeadObject", **KEY, ChecksumMode="ENABLED", PartNumber=2)
    assert part["ChecksumCRC32"] == parts[1]["ChecksumCRC32"]


def test_checksums_that_do_not_fit_are_refused(s3: Any) -> None:
    call = begin(s3, ChecksumAlgorithm="SHA256")
    refusal = s3.refused("UploadPart", **call, PartNumber=1, Body=b"", ChecksumAlgorithm="CRC32")
    assert refusal.code == "InvalidRequest"
    one = upload(s3, call, 1, b"1")
    wrong = {**one, "ChecksumSHA256": base64.b64encode(b"0" * 32).decode()}
    refusal = s3.refused("CompleteMultipartUpload", **call, MultipartUpload={"Parts": [wrong]})
    assert refusal.code == "InvalidPart"
    refusal = s3.refused(
        "CreateMultipartUpload", **KEY, ChecksumAlgorithm="SHA1", ChecksumType="FULL_OBJECT"
    )
    assert refusal.code == "InvalidRequest"
    assert s3.refused("UploadPart", **call, PartNumber=0, Body=b"").code == "InvalidArgument"


def test_a_completion_on_condition_replaces_nothing(s3: Any) -> None:
    call = begin(s3)
    parts = [upload(s3, call, 1, b"new")]
    s3.put("big/object", b"there")
    refusal = s3.refused(
        "CompleteMultipartUpload", **call, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
    )
    assert refusal.code == "PreconditionFailed"
    assert s3.get("big/object") == b"there"
    complete(s3, call, parts, IfMatch="*")
    assert s3.get("big/object") == b"new"
