"""Groups exist when they were made or have output; retention and tags are kept."""

from __future__ import annotations

import os
from typing import Any

from .conftest import DAY_MS, GROUP, KEEP_MS, T0


def names(answer: Any) -> list[str]:
    return [group["logGroupName"] for group in answer["logGroups"]]


def test_the_group_of_jobs_exists_from_the_first_start(logs: Any) -> None:
    (group,) = logs.call("DescribeLogGroups")["logGroups"]
    assert (group["logGroupName"], group["creationTime"]) == (GROUP, T0)
    assert group["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:*"
    assert logs.call("DescribeLogStreams", logGroupName=GROUP)["logStreams"] == []


def test_groups_are_listed_by_name_prefix_and_part_in_pages(logs: Any) -> None:
    logs.write((0, "x"), group="/my/own")
    logs.call("CreateLogGroup", logGroupName="/made/Early")
    page = logs.call("DescribeLogGroups", limit=2)
    assert names(page) == [GROUP, "/made/Early"]
    assert names(logs.call("DescribeLogGroups", nextToken=page["nextToken"])) == ["/my/own"]
    assert names(logs.call("DescribeLogGroups", logGroupNamePrefix="/m")) == [
        "/made/Early",
        "/my/own",
    ]
    assert names(logs.call("DescribeLogGroups", logGroupNamePattern="early")) == ["/made/Early"]
    assert names(logs.call("ListLogGroups", logGroupNamePattern="^/my|job")) == [GROUP, "/my/own"]


def test_a_group_is_made_once(logs: Any) -> None:
    logs.call("CreateLogGroup", logGroupName="/mine", tags={"team": "blue"})
    refusal = logs.refused("CreateLogGroup", logGroupName="/mine")
    assert refusal.code == "ResourceAlreadyExistsException"
    logs.restart()
    assert logs.call("ListTagsLogGroup", logGroupName="/mine") == {"tags": {"team": "blue"}}


def test_tags_are_added_and_taken_off_by_arn(logs: Any) -> None:
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    logs.call("TagResource", resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.call("UntagResource", resourceArn=arn, tagKeys=["a"])
    logs.restart()
    assert logs.call("ListTagsForResource", resourceArn=arn) == {"tags": {"b": "2"}}


def test_output_goes_after_the_servers_time_or_the_groups_own(logs: Any) -> None:
    short, long = "/short", "/long"
    streams = {group: logs.write((0, "x"), group=group) for group in (GROUP, short, long)}
    logs.writer.close()
    for path in (logs.folder / "logs").rglob("*.seg"):
        os.utime(path, (T0 / 1000, T0 / 1000))
    logs.call("PutRetentionPolicy", logGroupName=short, retentionInDays=1)
    logs.call("PutRetentionPolicy", logGroupName=long, retentionInDays=30)
    assert logs.refused("PutRetentionPolicy", logGroupName=long, retentionInDays=2).code == (
        "InvalidParameterException"
    )
    logs.restart()

    def left() -> set[str]:
        def has_streams(group: str) -> bool:
            answer = logs.call("DescribeLogStreams", logGroupName=group)
            return [s["logStreamName"] for s in answer["logStreams"]] == [streams[group]]

        return {group for group in streams if has_streams(group)}

    logs.clock.advance(2 * DAY_MS)
    logs.run(logs.service.expire(logs.clock.now()))
    assert left() == {GROUP, long}
    logs.clock.advance(KEEP_MS)
    logs.run(logs.service.expire(logs.clock.now()))
    assert left() == {long}
    logs.call("DeleteRetentionPolicy", logGroupName=long)
    logs.run(logs.service.expire(logs.clock.now()))
    assert left() == set()


def test_a_deleted_group_is_gone_unless_a_job_still_writes_to_it(logs: Any) -> None:
    logs.write((0, "x"), group="/mine")
    running = logs.begin(logs.name(), group="/mine")
    logs.writer.flush()
    assert logs.refused("DeleteLogGroup", logGroupName="/mine").code == "OperationAbortedException"
    running.close(T0)
    logs.writer.close()
    logs.call("DeleteLogGroup", logGroupName="/mine")
    assert names(logs.call("DescribeLogGroups")) == [GROUP]
    assert logs.refused("DeleteLogGroup", logGroupName="/mine").code == "ResourceNotFoundException"
