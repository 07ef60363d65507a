"""What lifecycle rules take away, in steps that hold up nobody.

Objects whose time has come are found by walking the rules' prefixes in the order of keys, so many
rows a step. Ages are rounded to midnight UTC (`rule`), so one walk a day finds all of them, and
one more after rules have changed. An index by age would make each PutObject dearer instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill.platform.clock import Now
from tidemill.services.s3 import store
from tidemill.services.s3.context import Context
from tidemill.services.s3.name import AFTER_PREFIX
from tidemill.services.s3.rule import DAY_MS
from tidemill.services.s3.store import Bucket, Upload

ROWS_PER_STEP: Final = 500
STEP_PAUSE_MS: Final = 50
LOOK_EVERY_MS: Final = 600_000
"""How often it is looked at the calendar, which may be set or leave out a laptop's sleep."""


@dataclass(slots=True)
class _Walk:
    """What is left to look at of one prefix: keys from `start`, uploads behind `upload_id`."""

    bucket: str
    start: bytes
    end: bytes
    of_uploads: bool
    upload_id: str = ""


class Expiry:
    """The walks that are under way. They are not kept: a restarted server begins anew."""

    def __init__(self, s3: Context) -> None:
        self._s3 = s3
        self._day = -1
        self._walks: list[_Walk] = []

    def begin(self, bucket: str) -> None:
        """Walk a bucket from its beginning, as its rules are now."""
        self._walks = [walk for walk in self._walks if walk.bucket != bucket]
        found = self._s3.buckets.get(bucket)
        if found is None or found.lifecycle is None:
            return
        for of_uploads, prefixes in (
            (False, found.lifecycle.object_prefixes),
            (True, found.lifecycle.upload_prefixes),
        ):
            self._walks += [
                _Walk(bucket, prefix, prefix + AFTER_PREFIX, of_uploads) for prefix in prefixes
            ]

    async def step(self, now: Now, rows: int = ROWS_PER_STEP) -> int:
        """Look at the next `rows` objects or uploads; when to go on, on the monotonic time."""
        day = now.wall_ms // DAY_MS
        if day != self._day:
            self._day = day
            for name in self._s3.buckets:
                self.begin(name)
        if not self._walks:
            midnight_ms = DAY_MS - now.wall_ms % DAY_MS
            return now.mono_ms + min(midnight_ms, LOOK_EVERY_MS)
        walk = self._walks[0]
        bucket = self._s3.buckets.get(walk.bucket)
        go = self._uploads if walk.of_uploads else self._objects
        if bucket is None or not await go(bucket, walk, now.wall_ms, rows):
            self._walks = [each for each in self._walks if each is not walk]
        return now.mono_ms + STEP_PAUSE_MS

    async def _objects(self, bucket: Bucket, walk: _Walk, now_ms: int, limit: int) -> bool:
        """Delete what is due of the next `limit` objects; whether more are left to look at.

        One that is written again meanwhile has another time, and stays.
        """
        lifecycle = bucket.lifecycle
        if lifecycle is None:
            return False
        page = await self._s3.index.objects(bucket.id, walk.start, walk.end, limit)
        due = [
            (each.key, each.modified_ms)
            for each in page
            if (expiry := lifecycle.expiry(each.key, each.size, each.head.tags, each.modified_ms))
            and expiry.at_ms <= now_ms
        ]
        if due:
            await self._s3.committer.commit(store.delete_expired(bucket.id, due, now_ms))
        if len(page) < limit:
            return False
        walk.start = page[-1].key + b"\0"
        return True

    async def _uploads(self, bucket: Bucket, walk: _Walk, now_ms: int, limit: int) -> bool:
        """As `_objects`, of the multipart uploads that nobody has ended."""
        lifecycle = bucket.lifecycle
        if lifecycle is None:
            return False
        after = (walk.start, walk.upload_id)
        page = await self._s3.index.uploads(bucket.id, walk.start, walk.end, after, limit)
        due = [
            each
            for each in page
            if (abortion := lifecycle.abortion(each.key, each.created_ms))
            and abortion.at_ms <= now_ms
        ]
        await self._abort(bucket, due, now_ms)
        if len(page) < limit:
            return False
        walk.start, walk.upload_id = page[-1].key, page[-1].id
        return True

    async def _abort(self, bucket: Bucket, uploads: Sequence[Upload], now_ms: int) -> None:
        """Abort uploads, but none that was completed meanwhile or is just being so."""
        s3 = self._s3
        for upload in uploads:
            async with s3.locks.alone(upload.id):
                if await s3.index.upload(bucket.id, upload.key, upload.id) is not None:
                    writes = store.end_upload(bucket.id, upload.key, upload.id, now_ms)
                    await s3.committer.commit(writes)
