"""Lifecycle rules under a virtual clock: what goes, when, and what clients are told before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill.services.s3.expiry import STEP_PAUSE_MS

DAY_MS = 86_400_000
HOUR_MS = DAY_MS // 24
# The virtual clock begins at 22:13:20 UTC.
TO_MIDNIGHT_MS = DAY_MS - 1_700_000_000_000 % DAY_MS


def rule(**members: Any) -> dict[str, Any]:
    return {"ID": "keep", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}, **members}


def set_rules(s3: Any, *rules: dict[str, Any], **params: Any) -> None:
    configuration = {"Rules": list(rules)}
    s3.call(
        "PutBucketLifecycleConfiguration",
        Bucket="bucket",
        LifecycleConfiguration=configuration,
        **params,
    )


def get_rules(s3: Any) -> Any:
    return s3.call("GetBucketLifecycleConfiguration", Bucket="bucket")


def refusal(s3: Any, *rules: dict[str, Any]) -> str:
    configuration = {"Rules": list(rules)}
    fault = s3.refused(
        "PutBucketLifecycleConfiguration", Bucket="bucket", LifecycleConfiguration=configuration
    )
    return f"{fault.code}: {fault.message}"


def keep_house(s3: Any, rows: int = 2) -> int:
    """Let the duty take all its steps until it rests; how many they were."""
    steps = 0
    while True:
        due_ms = s3.run(s3.service._expiry.step(s3.clock.now(), rows))
        if due_ms != s3.clock.now().mono_ms + STEP_PAUSE_MS:
            return steps
        steps += 1


def test_objects_go_at_the_midnight_after_their_days(s3: Any) -> None:
    set_rules(s3, rule(Filter={"Prefix": "runs/1d/"}))
    for i in range(5):
        s3.put(f"runs/1d/{i}", b"x")
    s3.put("runs/1d", b"is not below the prefix")
    s3.put("other", b"x")
    s3.clock.advance(TO_MIDNIGHT_MS + DAY_MS - 1)
    s3.put("runs/1d/3", b"written again")
    keep_house(s3)
    assert len(s3.keys()) == 7
    s3.clock.advance(1)
    assert keep_house(s3) > 2, "two rows a step"
    assert s3.keys() == ["other", "runs/1d", "runs/1d/3"]
    s3.clock.advance(DAY_MS)
    keep_house(s3)
    assert s3.keys() == ["other", "runs/1d"]


def test_the_bytes_of_what_went_leave_the_disk(lifted: Any) -> None:
    set_rules(lifted, rule())
    lifted.put("large", bytes(100_000))
    lifted.clock.advance(2 * DAY_MS)
    keep_house(lifted)
    lifted.clock.advance(HOUR_MS)
    lifted.tidy()
    assert lifted.files() == []


def test_a_date_that_has_come_takes_what_is_there_and_what_comes_later(s3: Any) -> None:
    tomorrow = datetime.fromtimestamp((s3.clock.now().wall_ms + TO_MIDNIGHT_MS) / 1000, UTC)
    set_rules(s3, rule(Expiration={"Date": tomorrow}))
    s3.put("a", b"x")
    keep_house(s3)
    assert s3.keys() == ["a"]
    s3.clock.advance(TO_MIDNIGHT_MS)
    s3.put("b", b"x")
    keep_house(s3)
    assert s3.keys() == []


def test_new_rules_are_heeded_at_once_and_ask_to_be(s3: Any) -> None:
    asked: list[bool] = []
    s3.service.hasten = lambda: asked.append(True)
    s3.put("a", b"x")
    s3.clock.advance(5 * DAY_MS)
    keep_house(s3)
    set_rules(s3, rule(Status="Disabled"))
    keep_house(s3)
    assert s3.keys() == ["a"]
    set_rules(s3, rule())
    keep_house(s3)
    assert s3.keys() == []
    assert asked == [True, True]


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"ObjectSizeGreaterThan": 10}, ["logs/ten", "tagged", "ten"]),
        ({"ObjectSizeLessThan": 11}, ["logs/big"]),
        ({"Tag": {"Key": "keep", "Value": "no"}}, ["logs/big", "logs/ten", "ten"]),
        ({"And": {"Prefix": "logs/", "ObjectSizeLessThan": 11}}, ["logs/big", "tagged", "ten"]),
        (
            {"And": {"Prefix": "tag", "Tags": [{"Key": "keep", "Value": "no"}]}},
            ["logs/big", "logs/ten", "ten"],
        ),
        ({"Prefix": ""}, []),
    ],
)
def test_a_filter_says_which(s3: Any, chosen: dict[str, Any], left: list[str]) -> None:
    set_rules(s3, rule(Filter=chosen))
    s3.put("ten", bytes(10))
    s3.put("logs/ten", bytes(10))
    s3.put("logs/big", bytes(11))
    s3.put("tagged", b"", Tagging="keep=no&other=1")
    s3.clock.advance(3 * DAY_MS)
    keep_house(s3)
    assert s3.keys() == left


def test_uploads_that_nobody_ends_are_aborted(lifted: Any) -> None:
    s3 = lifted
    set_rules(
        s3,
        {
            "ID": "ab ort",
            "Status": "Enabled",
            "Filter": {"Prefix": "up"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
        },
    )

    def begin(key: str) -> Any:
        return s3.call("CreateMultipartUpload", Bucket="bucket", Key=key)

    begun = [begin(key) for key in ("up/1", "up/1", "up/2", "other")]
    midnight_s = (s3.clock.now().wall_ms + TO_MIDNIGHT_MS) // 1000 + 2 * 86_400
    assert [each.get("AbortDate") for each in begun] == [midnight_s] * 3 + [None]
    assert begun[0]["AbortRuleId"] == "ab ort"
    where = {"Bucket": "bucket", "Key": "up/1", "UploadId": begun[0]["UploadId"]}
    s3.call("UploadPart", **where, PartNumber=1, Body=b"part")
    assert s3.call("ListParts", **where)["AbortDate"] == midnight_s
    s3.clock.advance(TO_MIDNIGHT_MS + 2 * DAY_MS)
    keep_house(s3)
    [left] = s3.call("ListMultipartUploads", Bucket="bucket")["Uploads"]
    assert left["Key"] == "other"
    assert s3.refused("ListParts", **where).code == "NoSuchUpload"
    s3.clock.advance(HOUR_MS)
    s3.tidy()
    assert s3.files() == []


def test_answers_say_when_an_object_goes(lifted: Any) -> None:
    s3 = lifted
    set_rules(
        s3,
        rule(ID="late", Expiration={"Days": 30}),
        rule(ID="söon 1/2", Filter={"Prefix": "tmp/"}, Expiration={"Days": 2}),
    )
    said = 'expiry-date="Fri, 17 Nov 2023 00:00:00 GMT", rule-id="s%C3%B6on%201%2F2"'
    where = {"Bucket": "bucket", "Key": "tmp/a"}
    assert s3.put("tmp/a", b"x")["Expiration"] == said
    assert s3.call("HeadObject", **where)["Expiration"] == said
    assert s3.call("GetObject", **where)["Expiration"] == said
    copy = s3.call("CopyObject", Bucket="bucket", Key="copy", CopySource="bucket/tmp/a")
    assert copy["Expiration"] == 'expiry-date="Fri, 15 Dec 2023 00:00:00 GMT", rule-id="late"'
    upload = {**where, "UploadId": s3.call("CreateMultipartUpload", **where)["UploadId"]}
    etag = s3.call("UploadPart", **upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    done = s3.call("CompleteMultipartUpload", **upload, MultipartUpload=parts)
    assert done["Expiration"] == said
    s3.call("DeleteBucketLifecycle", Bucket="bucket")
    assert "Expiration" not in s3.call("HeadObject", **where)
    set_rules(s3, rule(Expiration={"Days": 2**31 - 1}))
    assert "Expiration" not in s3.call("HeadObject", **where), "no HTTP date goes so far"


def test_rules_are_told_as_they_were_put_and_outlive_a_restart(s3: Any) -> None:
    assert s3.refused("GetBucketLifecycleConfiguration", Bucket="bucket").code == (
        "NoSuchLifecycleConfiguration"
    )
    day = datetime(2030, 1, 1, tzinfo=UTC)
    unnamed = {"Status": "Enabled", "Filter": {}, "Expiration": {"Date": day}}
    noncurrent = rule(
        Filter={"And": {"Prefix": "a", "ObjectSizeLessThan": 5}},
        Expiration={"ExpiredObjectDeleteMarker": True},
        NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2},
        NoncurrentVersionTransitions=[{"NoncurrentDays": 1, "StorageClass": "GLACIER"}],
    )
    set_rules(s3, unnamed, noncurrent)
    before = get_rules(s3)
    s3.call("PutBucketTagging", Bucket="bucket", Tagging={"TagSet": []})
    s3.restart()
    said = get_rules(s3)
    assert said == before
    first, second = said["Rules"]
    assert (first["Expiration"], second) == ({"Date": int(day.timestamp())}, noncurrent)
    assert first["ID"]
    assert said["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    set_rules(s3, rule(), TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    assert get_rules(s3)["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    s3.call("DeleteBucketLifecycle", Bucket="bucket")
    s3.call("DeleteBucketLifecycle", Bucket="bucket")
    s3.restart()
    assert s3.refused("GetBucketLifecycle", Bucket="bucket").code == "NoSuchLifecycleConfiguration"


def test_a_restart_and_a_new_bucket_of_the_name_begin_anew(s3: Any) -> None:
    set_rules(s3, rule())
    s3.put("a", b"x")
    s3.clock.advance(2 * DAY_MS)
    s3.restart()
    keep_house(s3)
    assert s3.keys() == []
    s3.call("DeleteBucket", Bucket="bucket")
    s3.call("CreateBucket", Bucket="bucket")
    s3.put("a", b"x")
    s3.clock.advance(2 * DAY_MS)
    keep_house(s3)
    assert s3.keys() == ["a"]


ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Status": "enabled"}, "the Status of the rule 'keep' must be Enabled or Disabled"),
        ({"Prefix": "both"}, "MalformedXML"),
        ({"Filter": None}, "MalformedXML: The XML you provided was not well-formed or did not"),
        ({"Filter": {"Prefix": "a", "ObjectSizeLessThan": 1}}, "MalformedXML"),
        ({"Expiration": {"Days": 1, "Date": NOON}}, "MalformedXML"),
        ({"Expiration": {}}, "MalformedXML"),
        ({"AbortIncompleteMultipartUpload": {}}, "MalformedXML"),
        ({"Expiration": {"Days": 0}}, "InvalidArgument: 'Days' for Expiration action must be a p"),
        ({"Expiration": {"Date": NOON}}, "InvalidArgument: 'Date' must be at midnight GMT"),
        ({"ID": "x" * 256}, "InvalidArgument: ID length should not exceed allowed limit of 255"),
        ({"Expiration": None}, "InvalidRequest: At least one action needs to be specified"),
        (
            {"Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}}},
            "InvalidRequest: 'ObjectSizeLessThan' has to be a value greater",
        ),
        ({**ABORT, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}, "specified with Tags"),
        ({**ABORT, "Filter": {"ObjectSizeLessThan": 5}}, "specified with Object Size"),
        (
            {"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
            "there is one storage class here, so leave the transitions out of the rule 'keep'",
        ),
    ],
)
def test_what_aws_or_we_would_not_do_is_refused(
    s3: Any, members: dict[str, Any], words: str
) -> None:
    given = {name: value for name, value in rule(**members).items() if value is not None}
    assert words in refusal(s3, given)
    assert s3.refused("GetBucketLifecycle", Bucket="bucket").code == "NoSuchLifecycleConfiguration"


def test_rules_are_told_apart_and_are_of_one_kind(s3: Any) -> None:
    assert "Rule ID must be unique" in refusal(s3, rule(), rule())
    legacy = {"ID": "old", "Status": "Enabled", "Prefix": "a/", "Expiration": {"Days": 1}}
    assert "Base level prefix cannot be used" in refusal(s3, rule(), legacy)
    assert refusal(s3).startswith("MalformedXML")
    assert refusal(s3, *(rule(ID=str(i)) for i in range(1001))).startswith("MalformedXML")
    s3.put("a/old", b"x")
    set_rules(s3, legacy)
    s3.clock.advance(2 * DAY_MS)
    keep_house(s3)
    assert s3.keys() == []
