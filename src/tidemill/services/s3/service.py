"""S3: buckets and objects, the bytes on disk and the index in the database.

There is no core in memory: what an operation decides on is in the index, and a key is locked
while a decision about it is made. A put is durable when it is answered: bytes first, then the
row that names them, in the group commit that the whole server shares.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from tidemill.platform.clock import Clock, Now
from tidemill.platform.commit import Committer
from tidemill.platform.limit import Limits
from tidemill.platform.service import Caller
from tidemill.platform.sql import migrations
from tidemill.platform.store import Migration, Store
from tidemill.services.s3 import (
    bucket,
    completion,
    lifecycle,
    listing,
    multipart,
    read,
    tag,
    unoffered,
    write,
)
from tidemill.services.s3.blob import Blobs
from tidemill.services.s3.context import Context, Params
from tidemill.services.s3.expiry import Expiry
from tidemill.services.s3.store import Index, delete_garbage

MIGRATIONS: Final[list[Migration]] = migrations("tidemill.services.s3", "s3")
GARBAGE_GRACE_MS: Final = 60_000
"""How long a replaced object's file stays for those who were just told where it lies."""

OPERATIONS: Final[dict[str, Callable[[Context, Params], Awaitable[dict[str, Any]]]]] = {
    "AbortMultipartUpload": multipart.abort_multipart_upload,
    "CompleteMultipartUpload": completion.complete_multipart_upload,
    "CreateBucket": bucket.create_bucket,
    "CreateMultipartUpload": multipart.create_multipart_upload,
    "DeleteBucket": bucket.delete_bucket,
    "DeleteBucketLifecycle": lifecycle.delete_bucket_lifecycle,
    "DeleteBucketTagging": bucket.delete_bucket_tagging,
    "DeleteObject": write.delete_object,
    "DeleteObjectTagging": tag.delete_object_tagging,
    "DeleteObjects": write.delete_objects,
    "GetBucketAcl": unoffered.get_bucket_acl,
    "GetBucketLifecycle": lifecycle.get_bucket_lifecycle,
    "GetBucketLifecycleConfiguration": lifecycle.get_bucket_lifecycle,
    "GetBucketLocation": bucket.get_bucket_location,
    "GetBucketTagging": bucket.get_bucket_tagging,
    "GetObject": read.get_object,
    "GetObjectAcl": unoffered.get_object_acl,
    "GetObjectAttributes": read.get_object_attributes,
    "GetObjectTagging": tag.get_object_tagging,
    "HeadBucket": bucket.head_bucket,
    "HeadObject": read.head_object,
    "ListBuckets": bucket.list_buckets,
    "ListMultipartUploads": multipart.list_multipart_uploads,
    "ListObjectVersions": listing.list_object_versions,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListParts": multipart.list_parts,
    "PutBucketLifecycle": lifecycle.put_bucket_lifecycle,
    "PutBucketLifecycleConfiguration": lifecycle.put_bucket_lifecycle,
    "PutBucketTagging": bucket.put_bucket_tagging,
    "PutObjectTagging": tag.put_object_tagging,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
}
RETRIED_OPERATIONS: Final[
    dict[str, Callable[[Context, Params, Caller], Awaitable[dict[str, Any]]]]
] = {
    "CopyObject": write.copy_object,
    "PutObject": write.put_object,
}
"""Operations that must know a retry when they see one; the others may simply run again."""


class S3Service:
    """The service named `s3`; `folder` is where blobs lie, on the same file system as spools."""

    name = "s3"

    def __init__(
        self,
        store: Store,
        committer: Committer,
        folder: Path,
        clock: Clock,
        limits: Limits,
        account: str,
        region: str,
    ) -> None:
        self._store = store
        self._unswept: list[Path] = []
        self._context = Context(
            index=Index(store),
            committer=committer,
            blobs=Blobs(folder),
            clock=clock,
            limits=limits,
            account=account,
            region=region,
            lifecycle_changed=self._begin_expiry,
        )
        self._expiry = Expiry(self._context)
        self.hasten: Callable[[], None] = lambda: None
        """Called when there is something to expire sooner than `expire` has said."""

    def _begin_expiry(self, bucket: str) -> None:
        self._expiry.begin(bucket)
        self.hasten()

    async def open(self) -> None:
        """Load the buckets; the store is open and has its epoch."""
        s3 = self._context
        s3.blobs.open(self._store.epoch)
        s3.buckets = {each.name: each for each in await s3.index.buckets()}
        self._unswept = s3.blobs.earlier_folders()

    async def close(self) -> None:
        """Finish the disk's work; nothing is called afterwards."""
        self._context.blobs.close()

    async def call(self, operation: str, params: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Answer one operation; objects' bytes are bytes, a `SpooledBody` or a `FileRange`."""
        if (handler := OPERATIONS.get(operation)) is not None:
            return await handler(self._context, params)
        if (retried := RETRIED_OPERATIONS.get(operation)) is not None:
            return await retried(self._context, params, caller)
        return await unoffered.answer_plain(self._context, operation, params)

    async def expire(self, now: Now) -> int:
        """One small step of what lifecycle rules ask for; when the next is due, monotonic."""
        return await self._expiry.step(now)

    async def tidy(self, limit: int = 500) -> int:
        """One small step of cleaning up; 0 means that there is nothing to do for now.

        Deletes the files of replaced and deleted objects after a time of grace, and what a crash
        left behind before a row named it.
        """
        s3 = self._context
        if self._unswept:
            folder = self._unswept.pop()
            await s3.blobs.sweep(folder, await s3.index.files_between(*s3.blobs.bounds(folder)))
            return 1
        garbage = await s3.index.garbage(s3.now_ms - GARBAGE_GRACE_MS, limit)
        if garbage:
            await s3.blobs.delete([number for number, is_file in garbage if is_file])
            await s3.committer.commit(delete_garbage([number for number, _ in garbage]))
        return len(garbage)
