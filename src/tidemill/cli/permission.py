"""Which of the library's calls these credentials may make: tried where trying changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tidemill.cli.examine_storage import bucket_of
from tidemill.cli.finding import POLICY, Finding, code_of, failed, is_denied, ok, unchecked, wrong
from tidemill.sdk.client import Connection
from tidemill.sdk.log import GROUP
from tidemill.sdk.project import Project

NOBODY: Final = "tidemill-doctor"
"""A name that nothing has."""
Try = Callable[[Connection, Project], Any]

TRIES: Final[Mapping[str, Try]] = {
    "batch:DescribeJobs": lambda to, _: to.client("batch").describe_jobs(jobs=[NOBODY]),
    "batch:DescribeJobDefinitions": lambda to, _: to.client("batch").describe_job_definitions(
        jobDefinitionName=NOBODY, status="ACTIVE"
    ),
    "batch:DescribeJobQueues": lambda to, at: to.client("batch").describe_job_queues(
        jobQueues=[at.queue]
    ),
    "batch:DescribeComputeEnvironments": lambda to, _: to.client(
        "batch"
    ).describe_compute_environments(maxResults=1),
    "batch:ListJobs": lambda to, at: to.client("batch").list_jobs(jobQueue=at.queue, maxResults=1),
    "logs:GetLogEvents": lambda to, _: to.client("logs").get_log_events(
        logGroupName=GROUP, logStreamName=NOBODY, limit=1
    ),
    "s3:ListBucket": lambda to, at: to.client("s3").list_objects_v2(
        Bucket=bucket_of(to, at), Prefix="runs/", MaxKeys=1
    ),
    "s3:GetObject": lambda to, at: to.client("s3").get_object(
        Bucket=bucket_of(to, at), Key=f"runs/{NOBODY}"
    ),
}
"""Calls that ask for what is not there."""

_MISSING: Final = {
    *("NoSuchKey", "ResourceNotFoundException"),
    "ClientException",  # of Batch: a queue that is not there has a finding of its own
}


def findings(connection: Connection, place: Project) -> Iterator[Finding]:
    """A line for what may be done, and one for each action that may not."""
    allowed, untried = [], list(UNTRIED)
    for action, call in TRIES.items():
        try:
            call(connection, place)
        except Exception as error:  # noqa: BLE001 - `failed` raises what is no error of the world
            if is_denied(error):
                yield wrong("permission", f"{action} is denied", POLICY)
                continue
            if code_of(error) == "NoSuchBucket":
                untried.append(action)
                continue
            if code_of(error) not in _MISSING:
                yield failed("permission", error, connection)
                continue
        allowed.append(action)
    if allowed:
        yield ok("permission", f"may {', '.join(allowed)}")
    if connection.is_aws:
        yield unchecked("permission", f"not tried: {', '.join(sorted(untried))}")


UNTRIED: Final = (
    "batch:CreateConsumableResource",
    "batch:DescribeConsumableResource",
    "batch:RegisterJobDefinition",
    "batch:SubmitJob",
    "batch:TagResource",
    "batch:TerminateJob",
    "batch:UpdateConsumableResource",
    "iam:PassRole",
    "s3:CreateBucket",
    "s3:GetLifecycleConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObject",
)
