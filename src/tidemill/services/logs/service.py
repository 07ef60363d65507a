"""CloudWatch Logs: the output of jobs, read from the log store while it is written.

Output never passes through here: engines write it to files, and this service reads those, in a
thread of its own and a page at a time. The database knows only what was said about groups.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tidemill.platform.clock import Clock, Now
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.log_reader import LogReader
from tidemill.platform.service import Caller
from tidemill.platform.sql import migrations
from tidemill.platform.store import Migration, Store
from tidemill.services.logs import filter as filtering
from tidemill.services.logs import group, stream
from tidemill.services.logs.context import Context, Params
from tidemill.services.logs.store import (
    Group,
    forget_deleted,
    load_deleted,
    load_groups,
    put_group,
)

MIGRATIONS: Final[list[Migration]] = migrations("tidemill.services.logs", "logs")
JOB_GROUP: Final = "/aws/batch/job"
DAY_MS: Final = 86_400_000
MINUTES_PER_STEP: Final = 20
STEP_PAUSE_MS: Final = 50
EXPIRE_EVERY_MS: Final = 600_000

OPERATIONS: Final[dict[str, Callable[[Context, Params], Awaitable[dict[str, Any]]]]] = {
    "CreateLogGroup": group.create_log_group,
    "CreateLogStream": stream.refuse_writing,
    "DeleteLogGroup": group.delete_log_group,
    "DeleteLogStream": stream.delete_log_stream,
    "DeleteRetentionPolicy": group.delete_retention_policy,
    "DescribeLogGroups": group.describe_log_groups,
    "DescribeLogStreams": stream.describe_log_streams,
    "FilterLogEvents": filtering.filter_log_events,
    "GetLogEvents": stream.get_log_events,
    "ListLogGroups": group.list_log_groups,
    "ListTagsForResource": group.list_tags_for_resource,
    "ListTagsLogGroup": group.list_tags_log_group,
    "PutLogEvents": stream.refuse_writing,
    "PutRetentionPolicy": group.put_retention_policy,
    "TagLogGroup": group.tag_log_group,
    "TagResource": group.tag_resource,
    "TestMetricFilter": filtering.test_metric_filter,
    "UntagLogGroup": group.untag_log_group,
    "UntagResource": group.untag_resource,
}


class LogsService:
    """The service named `logs`; `keep_ms` is how long output is kept where no group says."""

    name = "logs"

    def __init__(
        self,
        reader: LogReader,
        store: Store,
        committer: Committer,
        clock: Clock,
        account: str,
        region: str,
        keep_ms: int,
    ) -> None:
        self._store = store
        self._context = Context(
            reader=reader,
            committer=committer,
            clock=clock,
            account=account,
            region=region,
            keep_ms=keep_ms,
        )

    async def open(self) -> None:
        """Load what was said about groups; the group of Batch's jobs exists from the start."""
        logs = self._context
        logs.groups = await load_groups(self._store)
        logs.deleted = await load_deleted(self._store)
        if JOB_GROUP not in logs.groups:
            logs.groups[JOB_GROUP] = Group(name=JOB_GROUP, created_ms=logs.now_ms)
            await logs.committer.commit(put_group(logs.groups[JOB_GROUP]))

    async def close(self) -> None:
        """End the reader's thread; nothing is called afterwards."""
        self._context.worker.close()

    async def call(
        self,
        operation: str,
        params: dict[str, Any],
        caller: Caller,  # noqa: ARG002 - a member of the contract
    ) -> dict[str, Any]:
        """Answer one operation."""
        if (handler := OPERATIONS.get(operation)) is None:
            raise Fault(
                "InvalidOperationException",
                f"{operation} is not offered: this server keeps the output "
                "of jobs in groups and streams, to be read and searched.",
            )
        return await handler(self._context, params)

    async def expire(self, now: Now) -> int:
        """One small step of retention; when the next is due, on the monotonic time.

        Output goes by whole minutes, a group's own retention before the server's.
        """
        logs, removed = self._context, 0
        for each in await logs.all_groups():
            keep_ms = logs.keep_ms if each.retention_days is None else each.retention_days * DAY_MS
            removed += await logs.expire(each.name, now.wall_ms - keep_ms, MINUTES_PER_STEP)
        if removed and logs.deleted:
            await self._forget_deleted()
        return now.mono_ms + (STEP_PAUSE_MS if removed else EXPIRE_EVERY_MS)

    async def _forget_deleted(self) -> None:
        """Forget the deleted streams whose output retention has taken away."""
        logs = self._context
        kept = list(logs.deleted)
        gone = await logs.read(
            lambda reader: [entry for entry in kept if reader.stream(*entry) is None]
        )
        if gone:
            logs.deleted.difference_update(gone)
            await logs.committer.commit(forget_deleted(gone))
