"""Buckets: their names, their end, and what tools ask of them before anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.services.s3.unoffered import ABSENT, PLAIN


@pytest.mark.parametrize("name", ["abc", "a-b.c-d", "1bucket", "x" * 63])
def test_legal_names_make_buckets(s3, name: str) -> None:
    s3.call("CreateBucket", Bucket=name)
    assert s3.call("HeadBucket", Bucket=name)["BucketRegion"] == "us-east-1"


@pytest.mark.parametrize(
    "name", ["ab", "x" * 64, "Upper", "a..b", "a.-b", "-ab", "ab-", "192.168.0.1", "a_b", "xn--a1"]
)
def test_other_names_are_refused(s3, name: str) -> None:
    assert s3.refused("CreateBucket", Bucket=name).code == "InvalidBucketName"


def test_making_a_bucket_again_is_an_error_outside_us_east_1(s3, tmp_path: Path) -> None:
    from .conftest import Bench

    s3.call("CreateBucket", Bucket="bucket")
    (tmp_path / "eu").mkdir()
    elsewhere = Bench(tmp_path / "eu", region="eu-west-1")
    there = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    elsewhere.call("CreateBucket", Bucket="bucket", **there)
    refusal = elsewhere.refused("CreateBucket", Bucket="bucket", **there)
    assert refusal.code == "BucketAlreadyOwnedByYou"
    refusal = elsewhere.refused("CreateBucket", Bucket="other")
    assert refusal.code == "IllegalLocationConstraintException"
    located = elsewhere.call("GetBucketLocation", Bucket="bucket")
    assert located == {"LocationConstraint": "eu-west-1"}
    elsewhere.close()


def test_a_bucket_with_objects_stays_and_an_empty_one_goes_for_good(s3) -> None:
    s3.put("key", b"old")
    assert s3.refused("DeleteBucket", Bucket="bucket").code == "BucketNotEmpty"
    s3.call("DeleteObject", Bucket="bucket", Key="key")
    s3.call("CreateMultipartUpload", Bucket="bucket", Key="key")
    s3.call("DeleteBucket", Bucket="bucket")
    assert s3.refused("HeadBucket", Bucket="bucket").code == "NoSuchBucket"
    s3.restart()
    assert s3.call("ListBuckets")["Buckets"] == []
    s3.call("CreateBucket", Bucket="bucket")
    assert s3.keys() == []
    assert "Uploads" not in s3.call("ListMultipartUploads", Bucket="bucket")


def test_buckets_are_listed_by_name_and_in_pages(s3) -> None:
    for name in ("zeta", "alpha", "alpine"):
        s3.call("CreateBucket", Bucket=name)
    page = s3.call("ListBuckets", MaxBuckets=2)
    assert [bucket["Name"] for bucket in page["Buckets"]] == ["alpha", "alpine"]
    rest = s3.call("ListBuckets", MaxBuckets=2, ContinuationToken=page["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == ["bucket", "zeta"]
    assert "ContinuationToken" not in rest
    assert len(s3.call("ListBuckets", Prefix="alp")["Buckets"]) == 2


def test_tags_of_a_bucket_outlive_a_restart(s3) -> None:
    assert s3.refused("GetBucketTagging", Bucket="bucket").code == "NoSuchTagSet"
    tags = [{"Key": "team", "Value": "blue"}]
    s3.call("PutBucketTagging", Bucket="bucket", Tagging={"TagSet": tags})
    s3.restart()
    assert s3.call("GetBucketTagging", Bucket="bucket") == {"TagSet": tags}


def test_questions_about_what_was_never_set_are_answered_as_by_a_plain_bucket(s3) -> None:
    for operation in PLAIN:
        s3.call(operation, Bucket="bucket")
        assert s3.refused(operation, Bucket="missing").code == "NoSuchBucket"
    for operation, (code, _) in ABSENT.items():
        assert s3.refused(operation, Bucket="bucket").code == code
    refusal = s3.refused("PutBucketVersioning", Bucket="bucket")
    assert refusal.code == "NotImplemented"
    assert "PutBucketVersioning" in refusal.message


def test_another_owner_is_refused(s3) -> None:
    owner = {"ExpectedBucketOwner": "111111111111"}
    assert s3.refused("ListObjectsV2", Bucket="bucket", **owner).code == "AccessDenied"
