"""Lifecycle rules as boto3 sets them, on a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

DEADLINE_S = 30.0
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def s3(client: Callable[..., Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    name = f"test-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    yield name
    for entry in s3.list_objects_v2(Bucket=name).get("Contents", ()):
        s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


def rule(**members: Any) -> dict[str, Any]:
    return {"ID": "keep", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}, **members}


def put(s3: Any, bucket: str, *rules: dict[str, Any]) -> Any:
    configuration = {"Rules": list(rules)}
    return s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration=configuration
    )


def test_rules_go_there_and_back(s3: Any, bucket: str) -> None:
    rules = [
        rule(ID="all"),
        rule(ID="prefix", Filter={"Prefix": "runs/7d/"}, Expiration={"Days": 7}),
        rule(
            ID="both",
            Status="Disabled",
            Filter={
                "And": {
                    "Prefix": "a&<b",
                    "ObjectSizeGreaterThan": 1,
                    "ObjectSizeLessThan": 2**40,
                    "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}],
                }
            },
            Expiration={"Date": PAST},
        ),
        rule(ID="tag", Filter={"Tag": {"Key": "a", "Value": "b"}}),
        rule(
            ID="uploads",
            Filter={"Prefix": ""},
            Expiration={"ExpiredObjectDeleteMarker": True},
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 3},
            NoncurrentVersionExpiration={"NoncurrentDays": 2},
        ),
    ]
    answer = put(s3, bucket, *rules)
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k")
    assert (begun["AbortRuleId"], begun["AbortDate"].hour) == ("uploads", 0)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_rules_of_the_first_kind_are_served_under_both_names(s3: Any, bucket: str) -> None:
    old = {"ID": "old", "Status": "Enabled", "Prefix": "a/", "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle(Bucket=bucket, LifecycleConfiguration={"Rules": [old]})
    assert s3.get_bucket_lifecycle(Bucket=bucket)["Rules"] == [old]
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [old]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, "NotImplemented"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument"),
        ({"Status": "on"}, "MalformedXML"),
    ],
)
def test_refusals_are_modelled(s3: Any, bucket: str, members: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        put(s3, bucket, rule(**members))


def test_what_is_due_by_new_rules_goes_soon_and_the_rest_says_when(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="stays", Body=b"x")
    for i in range(3):
        s3.put_object(Bucket=bucket, Key=f"tmp/{i}", Body=bytes(i * 50_000))
    put(s3, bucket, rule(Filter={"Prefix": "tmp/"}, Expiration={"Date": PAST}), rule(ID="day"))
    deadline = time.monotonic() + DEADLINE_S
    while s3.list_objects_v2(Bucket=bucket)["KeyCount"] > 1:
        assert time.monotonic() < deadline, "what is due was not deleted"
        time.sleep(0.02)  # polls
    said = s3.head_object(Bucket=bucket, Key="stays")["Expiration"]
    assert said.startswith('expiry-date="')
    assert said.endswith(' 00:00:00 GMT", rule-id="day"')
    assert s3.put_object(Bucket=bucket, Key="stays")["Expiration"]
