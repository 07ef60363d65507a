"""What Batch answers about jobs, read from every store; an engine that runs nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fake_engine import FakeEngine

from tidemill.platform.clock import RealClock
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.limit import LIFTED
from tidemill.platform.postgres import PostgresStore
from tidemill.platform.service import Caller
from tidemill.platform.sqlite import SqliteStore
from tidemill.platform.store import Store
from tidemill.services.batch import page
from tidemill.services.batch.api import BatchService
from tidemill.services.batch.environment import Offer
from tidemill.services.batch.name import Names
from tidemill.services.batch.run import MIGRATIONS, Runtime

CALLER = Caller(account="000000000000", region="us-east-1", access_key="key")
SIZE = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
CONTAINER = {"image": "busybox", "command": ["true"], "resourceRequirements": SIZE}
ORDER = [{"order": 1, "computeEnvironment": "local"}]


class Desk:
    """A running Batch with four vCPUs, asked as the server asks it."""

    def __init__(self, runtime: Runtime, engine: FakeEngine) -> None:
        self.engine = engine
        self.runtime = runtime
        self._service = BatchService(runtime)

    async def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self._service.call(operation, params, CALLER)

    async def submit(self, **members: Any) -> str:
        params = {"jobName": "job", "jobQueue": "default", "jobDefinition": "small", **members}
        return str((await self("SubmitJob", **params))["jobId"])

    async def describe(self, *ids: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self("DescribeJobs", jobs=list(ids)))["jobs"]
        return found

    async def listed(self, **params: Any) -> list[str]:
        """All pages' job ids."""
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = await self("ListJobs", **params, **token)
            found += [each["jobId"] for each in page["jobSummaryList"]]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}

    async def run_all(self, *attempts: str, code: int = 0) -> None:
        """See attempts start and end."""
        for attempt in attempts:
            await self.engine.until(lambda attempt=attempt: attempt in self.engine.started)
            self.engine.start_seen(attempt, 5)
            self.engine.exit(attempt, code)
        await self.engine.until(lambda: set(attempts) <= set(self.engine.settled))


Check = Callable[[Desk], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgres"])
def at_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Check], None]:
    """Run a check at the desk of a fresh Batch that knows the definition `small`."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("new_postgres_url")()

    async def attend(check: Check) -> None:
        store: Store = PostgresStore(url) if url else SqliteStore(tmp_path / "tidemill.db")
        await store.open(MIGRATIONS)
        engine = FakeEngine()
        runtime = Runtime(
            names=Names(CALLER.account, CALLER.region),
            limits=LIFTED,
            database=store,
            committer=Committer(store),
            clock=RealClock(),
            engines={"process": engine},
            offers={"process": Offer(cpu_milli=4000, memory_mib=4096)},
            attempt_environment=lambda _: {},
        )
        await runtime.open()
        try:
            desk = Desk(runtime, engine)
            await desk(
                "RegisterJobDefinition",
                jobDefinitionName="small",
                type="container",
                containerProperties=CONTAINER,
            )
            await check(desk)
        finally:
            await runtime.close(stop_jobs=False)
            await store.close()

    def run(check: Check) -> None:
        asyncio.run(asyncio.wait_for(attend(check), 60))

    return run


def test_a_job_from_submission_to_its_end(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        job_id = await desk.submit(jobName="one", tags={"a": "b"}, parameters={"x": "y"})
        await desk.engine.until(lambda: f"{job_id}/1" in desk.engine.started)
        (job,) = await desk.describe(job_id, "unknown", "not:an:id")
        assert job["status"] == "STARTING"
        assert job["jobArn"] == f"arn:aws:batch:us-east-1:000000000000:job/{job_id}"
        assert job["jobQueue"].endswith(":job-queue/default")
        assert job["jobDefinition"].endswith(":job-definition/small:1")
        assert job["attempts"] == [] and job["dependsOn"] == []
        assert job["tags"] == {"a": "b"} and job["parameters"] == {"x": "y"}
        assert "startedAt" not in job
        await desk.run_all(f"{job_id}/1", code=3)
        (job,) = await desk.describe(job_id)
        assert job["status"] == "FAILED"
        assert job["container"]["exitCode"] == 3
        assert job["container"]["logStreamName"].startswith("small/default/")
        (attempt,) = job["attempts"]
        assert attempt["container"]["exitCode"] == 3
        assert attempt["statusReason"] == job["statusReason"]
        assert job["createdAt"] > 0 and job["startedAt"] and job["stoppedAt"]

    at_desk(check)


def test_why_a_job_waits(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        over = {"resourceRequirements": [{"type": "VCPU", "value": "4"}]}
        first = await desk.submit(containerOverrides=over)
        second = await desk.submit(containerOverrides=over)
        third = await desk.submit(dependsOn=[{"jobId": second}])
        waiting, held = await desk.describe(second, third)
        assert waiting["status"] == "RUNNABLE"
        assert "4 vCPU" in waiting["statusReason"]
        assert held["status"] == "PENDING"
        assert second in held["statusReason"]
        assert await desk.listed(jobQueue="default", jobStatus="RUNNABLE") == [second]
        assert await desk.listed(jobQueue="default", jobStatus="STARTING") == [first]
        snapshot = await desk("GetJobQueueSnapshot", jobQueue="default")
        (front,) = snapshot["frontOfQueue"]["jobs"]
        assert front["jobArn"].endswith(second)

    at_desk(check)


def test_children_of_an_array(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        job_id = await desk.submit(arrayProperties={"size": 10})
        await desk.run_all(f"{job_id}:0/1", f"{job_id}:1/1")
        await desk.run_all(f"{job_id}:2/1", code=1)
        parent, ended, waiting = await desk.describe(job_id, f"{job_id}:2", f"{job_id}:9")
        assert parent["status"] == "PENDING"
        summary = parent["arrayProperties"]["statusSummary"]
        assert parent["arrayProperties"]["size"] == 10
        assert (summary["SUCCEEDED"], summary["FAILED"], summary["RUNNABLE"]) == (2, 1, 3)
        assert ended["status"] == "FAILED" and ended["arrayProperties"] == {"index": 2}
        assert waiting["status"] == "RUNNABLE" and waiting["statusReason"]
        assert await desk.describe(f"{job_id}:10") == []

        async def children(state: str, **more: Any) -> list[int]:
            found = await desk.listed(arrayJobId=job_id, jobStatus=state, **more)
            return [int(each.rpartition(":")[2]) for each in found]

        assert await children("SUCCEEDED") == [0, 1]
        assert await children("RUNNABLE", maxResults=2) == [7, 8, 9]
        assert await children("STARTING", maxResults=3) == [3, 4, 5, 6]
        await desk("CancelJob", jobId=f"{job_id}:8", reason="not this one")
        await desk("TerminateJob", jobId=job_id, reason="enough")
        assert await children("FAILED", maxResults=1) == [2, 7, 8, 9]
        child, other = await desk.describe(f"{job_id}:8", f"{job_id}:7")
        assert child["statusReason"] == "not this one" and child["isCancelled"]
        assert other["statusReason"] == "enough" and other["isTerminated"]

    at_desk(check)


def test_nodes_of_a_multi_node_job(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        ranges = [
            {"targetNodes": "0:", "container": CONTAINER},
            {"targetNodes": "0:0", "container": {**CONTAINER, "command": ["lead"]}},
        ]
        await desk(
            "RegisterJobDefinition",
            jobDefinitionName="nodes",
            type="multinode",
            nodeProperties={"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges},
        )
        job_id = await desk.submit(jobDefinition="nodes")
        await desk.engine.until(lambda: f"{job_id}#0/1" in desk.engine.started)
        desk.engine.start_seen(f"{job_id}#0/1")
        await desk.engine.until(lambda: f"{job_id}#2/1" in desk.engine.started)
        whole, main, other = await desk.describe(job_id, f"{job_id}#0", f"{job_id}#2")
        assert whole["nodeProperties"]["numNodes"] == 3 and whole["status"] == "RUNNING"
        assert main["nodeDetails"] == {"nodeIndex": 0, "isMainNode": True}
        assert main["container"]["command"] == ["lead"] and main["status"] == "RUNNING"
        assert other["container"]["command"] == ["true"] and other["status"] == "STARTING"
        listed = await desk("ListJobs", multiNodeJobId=job_id, jobStatus="STARTING")
        assert [each["nodeProperties"]["nodeIndex"] for each in listed["jobSummaryList"]] == [1, 2]

    at_desk(check)


def test_lists_are_filtered_newest_first(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        ids = [await desk.submit(jobName=name) for name in ("Alpha", "alpha", "alpha_2", "beta")]
        array = await desk.submit(jobName="alphaArray", arrayProperties={"size": 2})
        await desk(
            "RegisterJobDefinition",
            jobDefinitionName="smaller",
            type="container",
            containerProperties=CONTAINER,
        )
        other = await desk.submit(jobName="x", jobDefinition="smaller")

        async def filtered(name: str, value: str, **more: Any) -> list[str]:
            filters = [{"name": name, "values": [value]}]
            return await desk.listed(jobQueue="default", filters=filters, **more)

        assert await filtered("JOB_NAME", "ALPHA") == [ids[1], ids[0]]
        alike = [array, ids[2], ids[1], ids[0]]
        assert await filtered("JOB_NAME", "alpha*") == alike
        assert await filtered("JOB_NAME", "alpha*", maxResults=1) == alike
        assert await filtered("JOB_NAME", "alpha*", jobStatus="FAILED") == alike
        assert await filtered("JOB_NAME", "%") == []
        small = [array, *reversed(ids)]
        arn = "arn:aws:batch:us-east-1:000000000000:job-definition/small"
        assert await filtered("JOB_DEFINITION", "small") == small
        assert await filtered("JOB_DEFINITION", "small*") == [other, *small]
        assert await filtered("JOB_DEFINITION", f"{arn}:1") == small
        assert await filtered("JOB_DEFINITION", f"{arn}:2") == []
        assert await filtered("AFTER_CREATED_AT", "1000") == [other, *small]
        assert await filtered("BEFORE_CREATED_AT", "1000") == []
        for bad in (
            [{"name": "JOB_NAME", "values": ["a"]}, {"name": "JOB_NAME", "values": ["b"]}],
            [{"name": "OTHER", "values": ["a"]}],
            [{"name": "JOB_NAME", "values": []}],
            [{"name": "AFTER_CREATED_AT", "values": ["soon"]}],
        ):
            with pytest.raises(Fault, match="filters"):
                await desk("ListJobs", jobQueue="default", filters=bad)
        with pytest.raises(Fault, match="Exactly one of"):
            await desk("ListJobs")
        with pytest.raises(Fault, match="nextToken"):
            await desk("ListJobs", jobQueue="default", nextToken="!")

    at_desk(check)


def test_jobs_by_share_and_by_consumable(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        arn = (await desk("CreateSchedulingPolicy", name="tenants"))["arn"]
        await desk(
            "CreateJobQueue",
            jobQueueName="shared",
            priority=1,
            schedulingPolicyArn=arn,
            computeEnvironmentOrder=ORDER,
        )
        await desk("CreateConsumableResource", consumableResourceName="db", totalQuantity=1)
        demand = {"consumableResourceList": [{"consumableResource": "db", "quantity": 1}]}
        ids = [
            await desk.submit(
                jobName=name,
                jobQueue="shared",
                shareIdentifier=share,
                consumableResourcePropertiesOverride=demand,
            )
            for name, share in (("Ann", "red"), ("bob", "blue"))
        ]
        filters = [{"name": "SHARE_IDENTIFIER", "values": ["blue"]}]
        assert await desk.listed(jobQueue="shared", filters=filters) == [ids[1]]
        states = {
            state: await desk.listed(jobQueue="shared", filters=filters, jobStatus=state)
            for state in ("RUNNABLE", "STARTING")
        }
        assert sorted(states.values()) == [[], [ids[1]]]

        async def demanding(**more: Any) -> list[str]:
            answer = await desk("ListJobsByConsumableResource", consumableResource="db", **more)
            return [each["jobName"] for each in answer["jobs"]]

        assert await demanding() == ["bob", "Ann"]
        assert await demanding(filters=[{"name": "JOB_NAME", "values": ["ANN*"]}]) == ["Ann"]
        assert len(await demanding(filters=[{"name": "JOB_STATUS", "values": ["RUNNABLE"]}])) == 1
        resource = await desk("DescribeConsumableResource", consumableResource="db")
        assert (resource["inUseQuantity"], resource["availableQuantity"]) == (1, 0)

    at_desk(check)


def test_tags_of_jobs(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        job_id = await desk.submit(tags={"a": "1"})
        arn = f"arn:aws:batch:us-east-1:000000000000:job/{job_id}"
        await asyncio.gather(
            desk("TagResource", resourceArn=arn, tags={"b": "2"}),
            desk("TagResource", resourceArn=arn, tags={"c": "3"}),
        )
        await desk("UntagResource", resourceArn=arn, tagKeys=["a"])
        tags = (await desk("ListTagsForResource", resourceArn=arn))["tags"]
        assert tags == {"b": "2", "c": "3"}
        assert (await desk.describe(job_id))[0]["tags"] == tags
        with pytest.raises(Fault, match="children"):
            await desk("ListTagsForResource", resourceArn=f"{arn}:1")
        with pytest.raises(Fault, match="not found"):
            await desk("TagResource", resourceArn=f"{arn}0", tags={})

    at_desk(check)


def test_many_are_stopped_at_once(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        over = {"resourceRequirements": [{"type": "VCPU", "value": "4"}]}
        ids = [await desk.submit(containerOverrides=over) for _ in range(3)]
        answer = await desk("CancelJobs", jobs=[*ids, "a:b", "unknown"], reason="over")
        assert answer["successful"] == [*ids, "unknown"]
        assert [each["job"] for each in answer["errors"]] == ["a:b"]
        states = [job["status"] for job in await desk.describe(*ids)]
        assert states == ["STARTING", "FAILED", "FAILED"]
        await desk("TerminateJobs", jobs=ids, reason="over")
        await desk.engine.until(lambda: desk.engine.stopped == [f"{ids[0]}/1"])

    at_desk(check)


def test_what_jobs_run_in_is_described(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        (local,) = (await desk("DescribeComputeEnvironments"))["computeEnvironments"]
        assert local["computeEnvironmentName"] == "local" and local["status"] == "VALID"
        assert local["computeResources"]["maxvCpus"] == 4
        assert local["computeResources"]["desiredvCpus"] == 0
        await desk.submit()
        (local,) = (await desk("DescribeComputeEnvironments"))["computeEnvironments"]
        assert local["computeResources"]["desiredvCpus"] == 1
        for name in "abc":
            await desk(
                "CreateJobQueue", jobQueueName=name, priority=1, computeEnvironmentOrder=ORDER
            )
        page = await desk("DescribeJobQueues", maxResults=3)
        assert [q["jobQueueName"] for q in page["jobQueues"]] == ["a", "b", "c"]
        page = await desk("DescribeJobQueues", maxResults=3, nextToken=page["nextToken"])
        assert [q["jobQueueName"] for q in page["jobQueues"]] == ["default", "fair"]
        assert "nextToken" not in page
        page = await desk("DescribeJobQueues", jobQueues=["b", "nowhere"])
        (queue,) = page["jobQueues"]
        assert queue["state"] == "ENABLED" and queue["status"] == "VALID"
        assert queue["computeEnvironmentOrder"][0]["computeEnvironment"].endswith("/local")

    at_desk(check)


def test_environments_of_one_machine_share_its_memory_and_say_so(
    at_desk: Callable[[Check], None],
) -> None:
    async def check(desk: Desk) -> None:
        async def healths() -> dict[str, str]:
            found = (await desk("DescribeComputeEnvironments"))["computeEnvironments"]
            return {each["computeEnvironmentName"]: each["statusReason"] for each in found}

        assert await healths() == {"local": "ComputeEnvironment Healthy"}
        name, size = {"computeEnvironmentName": "half"}, {"type": "EC2", "maxvCpus": 2}
        await desk("CreateComputeEnvironment", **name, type="MANAGED", computeResources=size)
        words = "may run jobs of 6 vCPUs at once on a machine of 4"
        assert await healths() == {
            "half": f"ComputeEnvironment Healthy; with local it {words}",
            "local": f"ComputeEnvironment Healthy; with half it {words}",
        }
        order = [{"order": 1, "computeEnvironment": "half"}]
        await desk("CreateJobQueue", jobQueueName="q", priority=1, computeEnvironmentOrder=order)
        large = {"resourceRequirements": [{"type": "MEMORY", "value": "3000"}]}
        first = await desk.submit(containerOverrides=large)
        second = await desk.submit(containerOverrides=large, jobQueue="q")
        (waiting,) = await desk.describe(second)
        assert waiting["status"] == "RUNNABLE"
        assert "`half` has 1096 of 4096 free (shared with `local`)" in waiting["statusReason"]
        await desk.run_all(f"{first}/1", f"{second}/1")
        await desk("UpdateComputeEnvironment", computeEnvironment="half", state="DISABLED")
        assert set((await healths()).values()) == {"ComputeEnvironment Healthy"}
        size = {"maxvCpus": 16}
        await desk("UpdateComputeEnvironment", computeEnvironment="local", computeResources=size)
        assert (await healths())["local"] == (
            "ComputeEnvironment Healthy; it may run jobs of 16 vCPUs at once on a machine of 4"
        )

    at_desk(check)


def test_definitions_are_described(at_desk: Callable[[Check], None]) -> None:
    async def check(desk: Desk) -> None:
        async def register(name: str) -> None:
            await desk(
                "RegisterJobDefinition",
                jobDefinitionName=name,
                type="container",
                containerProperties=CONTAINER,
            )

        for name in ("small", "other", "small"):
            await register(name)
        await desk("DeregisterJobDefinition", jobDefinition="small:2")

        async def described(**params: Any) -> list[str]:
            found: list[str] = []
            token: dict[str, str] = {}
            while True:
                page = await desk("DescribeJobDefinitions", **params, **token)
                found += [
                    f"{d['jobDefinitionName']}:{d['revision']}" for d in page["jobDefinitions"]
                ]
                if "nextToken" not in page:
                    return found
                token = {"nextToken": page["nextToken"]}

        every = ["other:1", "small:3", "small:2", "small:1"]
        assert await described() == every
        assert await described(maxResults=1) == every
        assert await described(status="ACTIVE") == ["other:1", "small:3", "small:1"]
        named = {"jobDefinitionName": "small", "maxResults": 1}
        assert await described(**named) == ["small:3", "small:2", "small:1"]
        assert await described(**named, status="INACTIVE") == ["small:2"]
        assert await described(jobDefinitions=["small:1", "none:1"]) == ["small:1"]
        with pytest.raises(Fault, match="together"):
            await described(jobDefinitions=["small:1"], status="ACTIVE")

    at_desk(check)


@pytest.mark.parametrize("operation", ["CreateServiceEnvironment", "SubmitServiceJob", "Nonsense"])
def test_what_is_not_offered_says_so(at_desk: Callable[[Check], None], operation: str) -> None:
    async def check(desk: Desk) -> None:
        with pytest.raises(Fault, match=f"{operation} is not part of Tidemill"):
            await desk(operation)

    at_desk(check)


NUL = "a\0b"


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("DescribeJobs", {"jobs": [NUL, "", "a:b", "x" * 200, "a:99999999999"]}),
        ("CancelJob", {"jobId": "a", "reason": NUL}),
        ("CancelJob", {"jobId": NUL, "reason": "a"}),
        ("TerminateJobs", {"jobs": [NUL], "reason": "a"}),
        ("ListJobs", {"arrayJobId": NUL}),
        ("ListJobs", {"jobQueue": NUL}),
        ("ListJobs", {"jobQueue": "default", "filters": [{"name": "JOB_NAME", "values": [NUL]}]}),
        ("ListJobs", {"jobQueue": "default", "nextToken": page.token("jobs", 10**30)}),
        ("ListJobs", {"jobQueue": "default", "nextToken": page.token("children", 1)}),
        ("DescribeJobQueues", {"nextToken": page.token("job-queue", NUL)}),
        ("DescribeJobDefinitions", {"jobDefinitionName": NUL}),
        ("DescribeJobDefinitions", {"jobDefinitions": [NUL]}),
        ("ListTagsForResource", {"resourceArn": f"arn:aws:batch:us-east-1:000000000000:job/{NUL}"}),
        ("ListJobsByConsumableResource", {"consumableResource": NUL}),
        ("GetJobQueueSnapshot", {"jobQueue": NUL}),
        (
            "SubmitJob",
            {
                "jobName": "a",
                "jobQueue": "default",
                "jobDefinition": "small",
                "dependsOn": [{"jobId": NUL}],
            },
        ),
    ],
)
def test_odd_words_are_answered_or_refused(
    at_desk: Callable[[Check], None], operation: str, params: dict[str, Any]
) -> None:
    """PostgreSQL takes no NUL in a text and no number beyond its columns."""

    async def check(desk: Desk) -> None:
        with contextlib.suppress(Fault):
            await desk(operation, **params)
        await desk.run_all(f"{await desk.submit()}/1")

    at_desk(check)
