"""S3 as boto3 uses it: managed transfers, paginators, waiters, presigned URLs, conditions."""

from __future__ import annotations

import base64
import hashlib
import io
import urllib.error
import urllib.request
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024**2
Client = Callable[..., Any]


@pytest.fixture
def s3(client: Client) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    s3.get_waiter("bucket_exists").wait(Bucket=name, WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    yield name
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        if keys := [{"Key": entry["Key"]} for entry in page.get("Contents", ())]:
            s3.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
    s3.delete_bucket(Bucket=name)


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def status(call: Callable[[], Any]) -> int:
    with pytest.raises(ClientError) as caught:
        call()
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB, 20 * MIB + 7])
def test_files_go_up_and_come_down_whole(s3: Any, bucket: str, tmp_path: Path, size: int) -> None:
    pattern = hashlib.sha256(b"seed").digest()
    content = (pattern * (size // 32 + 1))[:size]
    (tmp_path / "up").write_bytes(content)
    extra = {"Metadata": {"made-by": "test"}, "ContentType": "text/x-test"}
    s3.upload_file(str(tmp_path / "up"), bucket, "dir/file", ExtraArgs=extra)
    head = s3.head_object(Bucket=bucket, Key="dir/file")
    assert (head["ContentLength"], head["Metadata"]) == (size, extra["Metadata"])
    assert head["ContentType"] == "text/x-test"
    s3.download_file(bucket, "dir/file", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content
    assert ("-" in head["ETag"]) == (size > 8 * MIB), "large files go up in parts of 8 MiB"


def test_a_file_is_copied_in_parts_by_the_managed_copy(s3: Any, bucket: str) -> None:
    content = bytes(range(256)) * (12 * MIB // 256)
    s3.upload_fileobj(io.BytesIO(content), bucket, "from")
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.copy({"Bucket": bucket, "Key": "from"}, bucket, "to", Config=config)
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == content
    assert s3.head_object(Bucket=bucket, Key="to")["ETag"].endswith('-3"')


@pytest.mark.parametrize(
    "key", ["a//b", "..", "../../x", "trailing/", "with space+plus%25", "ü\U0001f680", "k" * 1024,
            "a?b=c&d", "it's \"<xml>&amp;", "./x", "tab\there"]
)  # fmt: skip
def test_any_legal_key_travels_both_ways(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"] == key
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
    s3.delete_object(Bucket=bucket, Key=key)
    assert code(lambda: s3.get_object(Bucket=bucket, Key=key)) == "NoSuchKey"


def test_ranges_and_overrides(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")
    assert part["Body"].read() == b"234"
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert part["ContentRange"] == "bytes 2-4/10"
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-3")["Body"].read() == b"789"
    assert status(lambda: s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")) == 416
    named = s3.get_object(Bucket=bucket, Key="k", ResponseContentDisposition="attachment")
    assert named["ContentDisposition"] == "attachment"


def test_conditions_travel_as_statuses(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    head = s3.head_object(Bucket=bucket, Key="k", IfMatch=etag)
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    since = head["LastModified"]
    assert status(lambda: s3.head_object(Bucket=bucket, Key="k", IfModifiedSince=since)) == 304
    again = {"Bucket": bucket, "Key": "k", "Body": b"2", "IfNoneMatch": "*"}
    assert code(lambda: s3.put_object(**again)) == "PreconditionFailed"
    assert status(lambda: s3.head_object(Bucket=bucket, Key="none")) == 404


def test_of_two_clients_who_claim_a_key_one_wins(s3: Any, bucket: str) -> None:
    def claim(name: int) -> int | None:
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=b"%d" % name, IfNoneMatch="*")
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
            return None
        return name

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [name for name in pool.map(claim, range(8)) if name is not None]
    assert s3.get_object(Bucket=bucket, Key="lock")["Body"].read() == b"%d" % winner


def test_paginators_list_every_key_and_prefix(s3: Any, bucket: str) -> None:
    keys = sorted(f"{folder}/{i:02}" for folder in ("a", "b", "é") for i in range(12))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b""), keys))
    for operation in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 7}
        )
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == keys
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
        )
        found = [prefix["Prefix"] for page in pages for prefix in page["CommonPrefixes"]]
        assert found == ["a/", "b/", "é/"]
    versions = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 10}
    )
    assert len([version for page in versions for version in page["Versions"]]) == len(keys)


def test_many_are_deleted_in_one_call_and_a_full_bucket_stays(s3: Any, bucket: str) -> None:
    for key in ("a", "b c", "ü/d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    assert code(lambda: s3.delete_bucket(Bucket=bucket)) == "BucketNotEmpty"
    objects = [{"Key": key} for key in ("a", "b c", "ü/d", "never")]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"]
    assert {entry["Key"] for entry in deleted} == {"a", "b c", "ü/d", "never"}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    s3.get_waiter("object_not_exists").wait(
        Bucket=bucket, Key="a", WaiterConfig={"Delay": 0, "MaxAttempts": 1}
    )


def test_a_key_named_twice_is_deleted_and_written_again(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    twice = [{"Key": "k", "ETag": '"bad"'}, {"Key": "k"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": twice})
    assert [entry["Code"] for entry in answer["Errors"]] == ["PreconditionFailed"]
    assert [entry["Key"] for entry in answer["Deleted"]] == ["k"]
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")["ETag"]
    thrice = [{"Key": "k"}, {"Key": "k", "ETag": etag}, {"Key": "k"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": thrice})
    assert ("Errors" in answer, len(answer["Deleted"])) == (False, 3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfNoneMatch="*")


def test_multipart_by_hand_lists_and_aborts(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Metadata={"a": "b"})
    call = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    parts = []
    for number, body in ((1, b"1" * 5 * MIB), (2, b"2" * 100)):
        part = s3.upload_part(**call, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    listed = s3.list_parts(**call)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, 5 * MIB), (2, 100)]
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["k"]
    wrong = {"Parts": parts[::-1]}
    refused = code(lambda: s3.complete_multipart_upload(**call, MultipartUpload=wrong))
    assert refused == "InvalidPartOrder"
    done = s3.complete_multipart_upload(**call, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-2"')
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"2" * 100, 2)
    assert second["Metadata"] == {"a": "b"}
    assert code(lambda: s3.abort_multipart_upload(**call)) == "NoSuchUpload"
    other = s3.create_multipart_upload(Bucket=bucket, Key="other")
    s3.abort_multipart_upload(Bucket=bucket, Key="other", UploadId=other["UploadId"])
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_verified_and_come_back(s3: Any, bucket: str, algorithm: str) -> None:
    body = b"checked" * 1000
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    bad = {"Bucket": bucket, "Key": "bad", "Body": body, "ChecksumCRC32": wrong}
    assert code(lambda: s3.put_object(**bad)) == "BadDigest"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_work_in_any_http_client(client: Client, bucket: str, version: str) -> None:
    s3 = client("s3", config=Config(signature_version=version))
    key = "pre signed/ü+1"
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key})
    headers = {"Content-Type": ""}  # a signature of the old kind covers it
    request = urllib.request.Request(url, data=b"by hand", headers=headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": key, "ResponseContentType": "text/x-y"}
    )
    with urllib.request.urlopen(url) as answer:
        assert (answer.read(), answer.headers["Content-Type"]) == (b"by hand", "text/x-y")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("ignature=", "ignature=x"))
    assert caught.value.code == 403
    caught.value.close()


def test_tags_of_objects_and_buckets(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=two%20words")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "two words"}]
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags


def test_what_is_asked_of_a_bucket_before_all_else(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert bucket in {entry["Name"] for entry in s3.list_buckets()["Buckets"]}
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert code(lambda: s3.get_bucket_policy(Bucket=bucket)) == "NoSuchBucketPolicy"
    assert status(lambda: s3.get_public_access_block(Bucket=bucket)) == 404
    assert status(lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}")) == 501
    assert status(lambda: s3.head_bucket(Bucket=f"none-{uuid.uuid4().hex}")) == 404
