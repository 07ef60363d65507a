"""AWS Batch's operations: one function for each, dict in, dict out.

What is refused becomes Batch's one modelled error for callers, ClientException; a store that
can't be used is the server's business. A read takes what only memory knows first, then waits
until all that memory shows is durable, and then reads rows: so it never shows what could be
lost, and never misses what moved meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec

from tidemill.platform.fault import Fault
from tidemill.platform.service import Caller
from tidemill.services.batch import query, store, tag
from tidemill.services.batch.command import CancelJob, Change, TerminateJob
from tidemill.services.batch.demanding import list_demanding
from tidemill.services.batch.description import describe
from tidemill.services.batch.error import Refused
from tidemill.services.batch.inventory import Inventory
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.listing import Lists, waiting_children
from tidemill.services.batch.name import Kind
from tidemill.services.batch.operation import OPERATIONS, REWRITE_JOB_BODY
from tidemill.services.batch.run import Runtime
from tidemill.services.batch.snapshot import snapshot
from tidemill.services.batch.store import JobRow
from tidemill.services.batch.submission import submission

JOBS_MAX: Final = 100
BULK_MAX: Final = 50
REASON_MAX: Final = 1_024
Params = dict[str, Any]
Answer = dict[str, Any]
Stop = type[CancelJob] | type[TerminateJob]


class BatchService:
    """Batch as `platform.service.Service`."""

    name = "batch"

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._core = runtime.core
        self._registry = runtime.registry
        self._names = runtime.registry.names
        self._inventory = Inventory(runtime.core)
        self._retagging = asyncio.Lock()
        inventory = self._inventory
        self._reads: Mapping[str, Callable[[Params], Answer]] = {
            "DescribeComputeEnvironments": inventory.environments,
            "DescribeJobQueues": inventory.queues,
            "DescribeJobDefinitions": inventory.definitions,
            "DescribeSchedulingPolicies": inventory.policies,
            "ListSchedulingPolicies": inventory.policy_list,
            "DescribeConsumableResource": inventory.consumable,
            "ListConsumableResources": inventory.consumable_list,
        }
        self._operations: Mapping[str, Callable[[Params, Caller], Awaitable[Answer]]] = {
            "SubmitJob": self.submit_job,
            "CancelJob": self.cancel_job,
            "CancelJobs": self.cancel_jobs,
            "TerminateJob": self.terminate_job,
            "TerminateJobs": self.terminate_jobs,
            "DescribeJobs": self.describe_jobs,
            "ListJobs": self.list_jobs,
            "ListJobsByConsumableResource": self.list_jobs_by_consumable_resource,
            "GetJobQueueSnapshot": self.get_job_queue_snapshot,
            "ListTagsForResource": self.list_tags_for_resource,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
        }

    async def call(self, operation: str, params: Params, caller: Caller) -> Answer:
        """Answer `operation` or raise `Fault`, as `platform.service.Service` has it."""
        try:
            if operation in self._operations:
                return await self._operations[operation](params, caller)
            if operation in self._reads:
                answer = self._reads[operation](params)
                await self._runtime.settled()
                return answer
            if operation in OPERATIONS and operation != REWRITE_JOB_BODY:
                return await self._change(operation, params, caller)
        except Refused as refused:
            raise Fault("ClientException", str(refused)) from refused
        raise Fault(
            "ClientException",
            f"{operation} is not part of Tidemill: service environments, service jobs and quota "
            "shares are not offered; use compute environments, jobs and fair-share policies.",
        )

    async def submit_job(self, params: Params, caller: Caller) -> Answer:
        """SubmitJob."""
        command = submission(self._registry, params, str(uuid4()), self._registry.limits)
        job_id = await self._runtime.submit(command, caller)
        return {
            "jobArn": self._names.arn(Kind.JOB, job_id),
            "jobName": command.name,
            "jobId": job_id,
        }

    async def cancel_job(self, params: Params, caller: Caller) -> Answer:
        """CancelJob: a job that has started or ended, or isn't there, is left alone."""
        await self._stop(CancelJob, params["jobId"], _reason(params), caller)
        return {}

    async def terminate_job(self, params: Params, caller: Caller) -> Answer:
        """TerminateJob: a job that has ended, or isn't there, is left alone."""
        await self._stop(TerminateJob, params["jobId"], _reason(params), caller)
        return {}

    async def cancel_jobs(self, params: Params, caller: Caller) -> Answer:
        """CancelJobs."""
        return await self._stop_all(CancelJob, params, caller)

    async def terminate_jobs(self, params: Params, caller: Caller) -> Answer:
        """TerminateJobs."""
        return await self._stop_all(TerminateJob, params, caller)

    async def describe_jobs(self, params: Params, caller: Caller) -> Answer:
        """DescribeJobs: ids that name nothing are left out.

        A caller that is ready to wait is answered once one of the jobs has ended.
        """
        asked = dict.fromkeys(params["jobs"])
        if len(asked) > JOBS_MAX:
            raise Refused(f"jobs: at most {JOBS_MAX} ids can be given; got {len(asked)}.")
        found = (JobId.parse(self._names.plain(Kind.JOB, text, "jobs")) for text in asked)
        ids = [each for each in found if each is not None]
        if caller.wait_s and ids:
            await self._runtime.one_ended(map(str, ids), caller.wait_s)
        return {"jobs": await describe(self._runtime, ids)}

    async def list_jobs(self, params: Params, _caller: Caller) -> Answer:
        """ListJobs: of a queue, of an array, or of a multi-node job."""
        given = [m for m in ("jobQueue", "arrayJobId", "multiNodeJobId") if params.get(m)]
        if len(given) != 1:
            raise Refused(
                "Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given; "
                f"got {' and '.join(given) or 'none'}."
            )
        lists = Lists(self._runtime.database, self._core, self._names, self._runtime.now())
        if given == ["jobQueue"]:
            queue = self._registry.resources.existing(Kind.QUEUE, params["jobQueue"], "jobQueue")
            asked = query.asked(params, self._names)
            await self._runtime.settled()
            return await lists.of_queue(queue.name, asked, params)
        parent_id = self._names.plain(Kind.JOB, params[given[0]], given[0])
        waiting = waiting_children(self._core, parent_id, params)
        await self._runtime.settled()
        parent = await self._job(parent_id, given[0])
        if given == ["arrayJobId"]:
            if parent.array_size is None:
                raise Refused(f"arrayJobId: job {parent_id} is not an array job.")
            return await lists.of_array(parent, waiting, params)
        if parent.node_count is None:
            raise Refused(f"multiNodeJobId: job {parent_id} is not a multi-node parallel job.")
        return await lists.of_nodes(parent, await self._body(parent_id), params)

    async def list_jobs_by_consumable_resource(self, params: Params, _caller: Caller) -> Answer:
        """ListJobsByConsumableResource."""
        await self._runtime.settled()
        return await list_demanding(self._runtime.database, self._core, params)

    async def get_job_queue_snapshot(self, params: Params, _caller: Caller) -> Answer:
        """GetJobQueueSnapshot."""
        queue = self._registry.resources.existing(Kind.QUEUE, params["jobQueue"], "jobQueue")
        await self._runtime.settled()
        now = self._runtime.now()
        return await snapshot(self._runtime.database, self._core, queue.name, now)

    async def list_tags_for_resource(self, params: Params, _caller: Caller) -> Answer:
        """ListTagsForResource."""
        kind, name = self._names.split(params["resourceArn"], "resourceArn")
        if kind is not Kind.JOB:
            tags = self._inventory.tags(kind, name)
            await self._runtime.settled()
            return {"tags": tags}
        await self._runtime.settled()
        await self._taggable(name)
        return {"tags": msgspec.json.decode(await self._body(name)).get("tags", {})}

    async def tag_resource(self, params: Params, caller: Caller) -> Answer:
        """TagResource."""
        given = params["tags"]
        return await self._retag("TagResource", params, caller, lambda old: tag.added(old, given))

    async def untag_resource(self, params: Params, caller: Caller) -> Answer:
        """UntagResource."""
        keys = params["tagKeys"]
        return await self._retag(
            "UntagResource", params, caller, lambda old: tag.removed(old, keys)
        )

    async def _change(self, operation: str, params: Params, caller: Caller) -> Answer:
        command = Change(operation=operation, params=params, new_id=str(uuid4()))
        return await self._runtime.change(command, caller)

    async def _stop(self, stop: Stop, job_id: str, reason: str, caller: Caller | None) -> None:
        name = self._names.plain(Kind.JOB, job_id, "jobId")
        if JobId.parse(name) is None:
            raise Refused(f"jobId: {job_id[:200]!r} is not the id of a job.")
        if stop is CancelJob:
            await self._runtime.cancel(CancelJob(job_id=name, reason=reason), caller)
        else:
            await self._runtime.terminate(TerminateJob(job_id=name, reason=reason), caller)

    async def _stop_all(self, stop: Stop, params: Params, _caller: Caller) -> Answer:
        """Stop each; doing so twice, when the call comes again, changes nothing."""
        reason = _reason(params)
        if len(params["jobs"]) > BULK_MAX:
            raise Refused(f"jobs: at most {BULK_MAX} ids can be given; got {len(params['jobs'])}.")
        outcomes = await asyncio.gather(
            *(self._stop(stop, job_id, reason, None) for job_id in params["jobs"]),
            return_exceptions=True,
        )
        successful, errors = [], []
        for job_id, outcome in zip(params["jobs"], outcomes, strict=True):
            if outcome is None:
                successful.append(job_id)
            elif isinstance(outcome, Refused):
                errors.append(
                    {"job": job_id, "code": "ValidationException", "message": str(outcome)}
                )
            else:
                raise outcome
        return {"successful": successful, "errors": errors}

    async def _retag(
        self,
        operation: str,
        params: Params,
        caller: Caller,
        change: Callable[[Mapping[str, str]], dict[str, str]],
    ) -> Answer:
        kind, name = self._names.split(params["resourceArn"], "resourceArn")
        if kind is not Kind.JOB:
            return await self._change(operation, params, caller)
        async with self._retagging:  # a job's tags are read, changed and written as one
            await self._runtime.settled()
            row = await self._taggable(name)
            body = msgspec.json.decode(await self._body(name))
            body["tags"] = change(body.get("tags", {}))
            rewritten = {"seq": row.seq, "body": msgspec.json.encode(body)}
            return await self._change(REWRITE_JOB_BODY, rewritten, caller)

    async def _taggable(self, name: str) -> JobRow:
        job_id = JobId.parse(name)
        if job_id is not None and str(job_id) != job_id.parent:
            raise Refused("resourceArn: children of array and multi-node jobs have no tags.")
        return await self._job(name, "resourceArn")

    async def _job(self, job_id: str, member: str) -> JobRow:
        known = JobId.parse(job_id) is not None
        row = await store.job(self._runtime.database, job_id) if known else None
        if row is None:
            raise Refused(f"{member}: Job {job_id[:200]} not found.")
        return row

    async def _body(self, job_id: str) -> bytes:
        found = await store.body(self._runtime.database, job_id)
        if found is None:
            raise Refused(f"Job {job_id[:200]} is not kept any more.")
        return found


def _reason(params: Params) -> str:
    reason: str = params["reason"]
    if len(reason) > REASON_MAX:
        raise Refused(f"reason has at most {REASON_MAX} characters; got {len(reason)}.")
    if "\0" in reason:
        raise Refused("reason can't contain a NUL character.")
    return reason
