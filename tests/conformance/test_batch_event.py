"""Batch's events as a subscriber of the feed gets them, on each store, as EventBridge has them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from batch_house import House, NewStore, living

from tidemill.platform.engine import Exited, Started
from tidemill.platform.feed import EventBatch
from tidemill.platform.service import Caller
from tidemill.services.batch.announcement import Announcement, announcements
from tidemill.services.batch.api import BatchService
from tidemill.services.batch.command import TerminateJob

CALLER = Caller(account="000000000000", region="us-east-1", access_key="k")
SIZE = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "64"}]
PREFIX = "arn:aws:batch:us-east-1:000000000000"


class Subscriber:
    """Takes a house's events, and has Batch tell what they are."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._subscription = house.feed.subscribe("bus")
        self._taken: list[Announcement] = []
        self._next = asyncio.create_task(self._take())

    async def _take(self) -> EventBatch:
        return await anext(self._subscription)

    async def until(self, count: int, kind: str = "Batch Job State Change") -> list[Announcement]:
        """The first `count` events of a kind, once there are so many."""
        while len(found := [each for each in self._taken if each["detail-type"] == kind]) < count:
            batch = await self._next
            for entry in batch.events:
                told = announcements(self._house.runtime, entry)
                self._taken += [each async for each in told]
            await self._house.committer.commit([batch.cursor])
            self._next = asyncio.create_task(self._take())
        return found


async def subscriber(house: House) -> Subscriber:
    """One that is subscribed by now."""
    found = Subscriber(house)
    while not house.feed.backlogs:
        await asyncio.sleep(0)
    return found


async def submitted(house: House, **members: Any) -> str:
    """Submit over Batch's API; the job's id."""
    service = BatchService(house.runtime)
    container = {"image": "busybox", "command": ["true"], "resourceRequirements": SIZE}
    await service.call(
        "RegisterJobDefinition",
        {"jobDefinitionName": "d", "type": "container", "containerProperties": container},
        CALLER,
    )
    params = {"jobName": "j", "jobQueue": "default", "jobDefinition": "d", **members}
    return str((await service.call("SubmitJob", params, CALLER))["jobId"])


DOCUMENTED = {
    *("jobArn", "jobName", "jobId", "jobQueue", "status", "attempts", "createdAt", "retryStrategy"),
    *("dependsOn", "jobDefinition", "parameters", "container", "tags", "propagateTags"),
    "platformCapabilities",
}
DOCUMENTED_CONTAINER = {
    *("image", "command", "volumes", "environment", "mountPoints", "ulimits"),
    *("networkInterfaces", "resourceRequirements", "secrets"),
}
"""What AWS's example of a job that is RUNNABLE has: user guide, "Job state change events"."""


def states(told: list[Announcement]) -> list[str]:
    return [each["detail"]["status"] for each in told]


def test_each_state_is_an_event_with_the_job_as_it_was(new_store: NewStore) -> None:
    """The details are read when the job has ended: what came later is left out."""

    async def story(house: House) -> None:
        bus = await subscriber(house)
        job_id = await submitted(house, retryStrategy={"attempts": 2})
        for number, code in ((1, 7), (2, 0)):
            name = f"{job_id}/{number}"
            await house.engine.until(lambda: name in house.engine.started)  # noqa: B023
            at_ms = house.runtime.now().wall_ms
            house.engine.observe(Started(attempt_id=name, at_ms=at_ms))
            await house.state(job_id)
            at_ms = house.runtime.now().wall_ms
            house.engine.observe(Exited(attempt_id=name, at_ms=at_ms, exit_code=code))
            await house.state(job_id)
        events = await bus.until(7)
        assert states(events) == [
            *("RUNNABLE", "STARTING", "RUNNING"),
            *("RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"),
        ]
        arn = f"{PREFIX}:job/{job_id}"
        for each in events:
            assert (each["source"], each["resources"]) == ("aws.batch", [arn])
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", each["time"])
            detail = each["detail"]
            assert (detail["jobArn"], detail["jobId"], detail["jobName"]) == (arn, job_id, "j")
            assert detail["jobQueue"] == f"{PREFIX}:job-queue/default"
            assert detail["container"]["command"] == ["true"]
        details = [each["detail"] for each in events]
        assert [len(each["attempts"]) for each in details] == [0, 0, 0, 1, 1, 1, 2]
        runnable = details[0]
        assert set(runnable) == DOCUMENTED | {"isCancelled", "isTerminated"}
        assert set(runnable["container"]) == DOCUMENTED_CONTAINER
        began, ended = (
            [member in each for each in details] for member in ("startedAt", "stoppedAt")
        )
        assert began == [False, False, True, False, False, True, True]
        assert ended == ["statusReason" in each for each in details] == [False] * 6 + [True]
        assert [each["container"].get("exitCode") for each in details] == [None] * 6 + [0]
        streams = [each["container"].get("logStreamName") for each in details]
        first, second = (a["container"]["logStreamName"] for a in details[-1]["attempts"])
        assert streams == [None, None, first, None, None, second, second]
        assert details[-1] == (await describe(house, job_id))

    living(new_store, story)


async def describe(house: House, job_id: str) -> Any:
    answer = await BatchService(house.runtime).call("DescribeJobs", {"jobs": [job_id]}, CALLER)
    return answer["jobs"][0]


def test_an_arrays_parent_and_children_are_told_of_alike(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        bus = await subscriber(house)
        array_id = await submitted(house, arrayProperties={"size": 150})
        await house.runtime.terminate(TerminateJob(job_id=array_id, reason="not needed"))
        house.engine.exit(f"{array_id}:0/1", 143)
        events = await bus.until(2 + 4 + 2 * 149)
        parent = [each for each in events if each["detail"]["jobId"] == array_id]
        assert states(parent) == ["PENDING", "FAILED"]
        begun = [each for each in events if each["detail"]["jobId"] == f"{array_id}:0"]
        assert states(begun) == ["RUNNABLE", "STARTING", "RUNNING", "FAILED"]
        last = [each for each in events if each["detail"]["jobId"] == f"{array_id}:149"]
        assert states(last) == ["RUNNABLE", "FAILED"]
        assert last[1]["resources"] == [f"{PREFIX}:job/{array_id}:149"]
        assert last[1]["detail"]["arrayProperties"] == {"index": 149}
        assert last[1]["detail"]["statusReason"] == "not needed"

    living(new_store, story)


def test_a_blocked_queue_is_told_of_with_the_job_that_blocks_it(new_store: NewStore) -> None:
    async def story(house: House) -> None:
        bus = await subscriber(house)
        size = [{"type": "VCPU", "value": "5"}]
        overrides = {"resourceRequirements": size}
        job_id = await submitted(house, containerOverrides=overrides)
        (blocked,) = await bus.until(1, "Batch Job Queue Blocked")
        arns = [f"{PREFIX}:job/{job_id}", f"{PREFIX}:job-queue/default"]
        assert (blocked["source"], blocked["resources"]) == ("aws.batch", arns)
        detail = blocked["detail"]
        assert [detail["jobArn"], detail["jobQueue"]] == arns
        assert (detail["jobId"], detail["status"]) == (job_id, "RUNNABLE")
        assert detail["statusReason"].startswith(
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - needs 5 vCPU"
        )

    living(new_store, story)
