"""What every S3 operation works with: the index, the blobs, the locks and the buckets there are."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.platform.body import FileRange, SpooledBody
from tidemill.platform.clock import Clock
from tidemill.platform.commit import Committer
from tidemill.platform.fault import Fault
from tidemill.platform.limit import Limits
from tidemill.platform.store import Write
from tidemill.services.s3 import checksum, store
from tidemill.services.s3.blob import INLINE_BYTES_MAX, Blobs, chunks
from tidemill.services.s3.checksum import Digest
from tidemill.services.s3.lock import NamedLocks
from tidemill.services.s3.record import Record
from tidemill.services.s3.store import Bucket, Index

Params = Mapping[str, Any]

_NO_ENCRYPTION: Final = (
    "objects lie as they are in the server's data folder; put that on an encrypted disk and leave "
    "{} out."
)
_NO_OBJECT_LOCK: Final = "Bucket is missing Object Lock Configuration, so leave {} out."
_REFUSED: Final = {
    "ServerSideEncryption": ("NotImplemented", _NO_ENCRYPTION),
    "SSECustomerAlgorithm": ("NotImplemented", _NO_ENCRYPTION),
    "SSECustomerKey": ("NotImplemented", _NO_ENCRYPTION),
    "SSEKMSKeyId": ("NotImplemented", _NO_ENCRYPTION),
    "CopySourceSSECustomerAlgorithm": ("NotImplemented", _NO_ENCRYPTION),
    "ObjectLockMode": ("InvalidRequest", _NO_OBJECT_LOCK),
    "ObjectLockRetainUntilDate": ("InvalidRequest", _NO_OBJECT_LOCK),
    "ObjectLockLegalHoldStatus": ("InvalidRequest", _NO_OBJECT_LOCK),
    "ObjectLockEnabledForBucket": ("NotImplemented", "Object Lock is not offered; leave {} out."),
    "WriteOffsetBytes": ("NotImplemented", "objects are written whole; leave {} out."),
    "GrantFullControl": ("AccessControlListNotSupported", "The bucket does not allow ACLs: {}."),
    "GrantRead": ("AccessControlListNotSupported", "The bucket does not allow ACLs: {}."),
    "GrantReadACP": ("AccessControlListNotSupported", "The bucket does not allow ACLs: {}."),
    "GrantWrite": ("AccessControlListNotSupported", "The bucket does not allow ACLs: {}."),
    "GrantWriteACP": ("AccessControlListNotSupported", "The bucket does not allow ACLs: {}."),
}
_OWNERS_ACLS: Final = ("private", "bucket-owner-full-control")


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are durable or become so with `writes`; `blob` None means there are none."""

    blob: int | None
    writes: Sequence[Write] = ()
    is_file: bool = False


@dataclass(slots=True, kw_only=True)
class Context:
    """The parts of one S3 service. `buckets` mirrors the database: they are few.

    `lifecycle_changed` is told the name of a bucket whose rules are others now.
    """

    index: Index
    committer: Committer
    blobs: Blobs
    clock: Clock
    limits: Limits
    account: str
    region: str
    locks: NamedLocks = field(default_factory=NamedLocks)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    lifecycle_changed: Callable[[str], None] = lambda _: None

    @property
    def now_ms(self) -> int:
        """The wall time."""
        return self.clock.now().wall_ms

    @property
    def owner(self) -> dict[str, str]:
        """The account as S3 names it: a canonical user."""
        return {"ID": hashlib.sha256(f"tidemill:{self.account}".encode()).hexdigest()}

    def bucket(self, name: str, expected_owner: str | None = None) -> Bucket:
        """The bucket, or why it can't be used."""
        bucket = self.buckets.get(name)
        if bucket is None:
            raise Fault("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        if expected_owner is not None and expected_owner != self.account:
            raise Fault(
                "AccessDenied",
                f"Access Denied: bucket {name} belongs to {self.account}, not {expected_owner}.",
            )
        return bucket

    def bucket_of(self, params: Params) -> Bucket:
        """The bucket that a call is for."""
        return self.bucket(params["Bucket"], params.get("ExpectedBucketOwner"))

    @asynccontextmanager
    async def writing(self, bucket: str, key: bytes, *, alone: bool) -> AsyncIterator[Bucket]:
        """Hold a key to write it, `alone` where the write depends on what is there."""
        held = self.locks.alone if alone else self.locks.shared
        async with self.locks.shared(bucket), held((bucket, key)):
            yield self.bucket(bucket)

    async def existing(self, bucket: Bucket, key: bytes) -> Record:
        """An object that must exist."""
        record = await self.index.object(bucket.id, key)
        if record is None:
            raise no_such_key(key)
        return record

    async def digest(
        self, body: bytes | SpooledBody | FileRange, algorithms: Collection[str]
    ) -> Digest:
        """The digests of a body; what takes long is done off the loop."""
        if isinstance(body, bytes) and len(body) <= INLINE_BYTES_MAX:
            return checksum.digest((body,), algorithms)
        return await self.blobs.run(lambda: checksum.digest(chunks(body), algorithms))

    async def keep(self, body: bytes | SpooledBody) -> Content:
        """Keep a new object's bytes: small ones with the index, others in a file, durable now."""
        if not isinstance(body, bytes):
            return await self.keep_file(body)
        if not body:
            return Content(None)
        if len(body) > INLINE_BYTES_MAX:
            return await self.keep_file(body)
        number = self.blobs.new_number()
        return Content(number, store.put_blob(number, body))

    async def keep_file(self, body: bytes | SpooledBody) -> Content:
        """Keep bytes in a file, however few."""
        number = self.blobs.new_number()
        await self.blobs.store(number, body)
        return Content(number, store.put_blob(number, None), is_file=True)

    async def give_up(self, content: Content) -> None:
        """Delete bytes that were kept for a write that is refused."""
        if content.is_file and content.blob is not None:
            await self.blobs.delete([content.blob])


def check_supported(params: Params) -> None:
    """Refuse what changes an object's meaning in a way that is not offered here."""
    for member in _REFUSED.keys() & params.keys():
        if params[member] in (None, False, ""):
            continue
        code, text = _REFUSED[member]
        if code == "NotImplemented":
            text = "A header you provided implies functionality that is not implemented: " + text
        raise Fault(code, text.format(member))
    if (acl := params.get("ACL")) is not None and acl not in _OWNERS_ACLS:
        raise Fault(
            "AccessControlListNotSupported",
            f"The bucket does not allow ACLs: {acl!r}; only the account's own keys reach it.",
        )


def no_such_key(key: bytes) -> Fault:
    """The refusal of a read of what is not there."""
    return Fault("NoSuchKey", "The specified key does not exist.", Key=key.decode())


def malformed_xml(reason: str = "") -> Fault:
    """The refusal of a document that lacks what its operation needs; `reason` says what."""
    message = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return Fault("MalformedXML", f"{message}: {reason}." if reason else message)
