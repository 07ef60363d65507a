"""Replies are remembered, so that a call whose reply was lost is not carried out twice.

boto3 sends a mutating call again, under the same invocation id, when no reply comes. The reply
was committed together with what the call changed; it is kept for about an hour and given again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from tidemill.platform.clock import Clock, Now
from tidemill.platform.commit import Committer
from tidemill.platform.loop import Loop
from tidemill.platform.service import Caller
from tidemill.platform.store import Store, Write

_BUCKET_BITS: Final = 16
"""A bucket is 2^16 ms, 66 s: rows of one time lie together, to be added and deleted together."""

_BUCKETS_KEPT: Final = 56
"""An hour and a little."""

_SWEEP_ROWS: Final = 1_000
_SWEEP_PAUSE_MS: Final = 20

_INSERT: Final = (
    "INSERT INTO retry_reply (bucket, retry_key, reply) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
)
_FIND: Final = "SELECT reply FROM retry_reply WHERE retry_key = $1 AND bucket IN ({})".format(
    ", ".join(f"${n}" for n in range(2, _BUCKETS_KEPT + 3))
)
_OLD: Final = (
    "SELECT bucket, retry_key FROM retry_reply WHERE bucket < $1"
    " ORDER BY bucket, retry_key LIMIT $2"
)
_DELETE: Final = "DELETE FROM retry_reply WHERE bucket = $1 AND retry_key = $2"


class Replies:
    """The replies to mutating calls of the last hour; housekeeping runs `sweep`.

    Only the reply to a call that was carried out is kept: one that was refused changed nothing,
    and is decided anew.
    """

    def __init__(self, store: Store, committer: Committer, clock: Clock) -> None:
        self._store = store
        self._committer = committer
        self._clock = clock
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def ask(self, loop: Loop, message: Any, caller: Caller) -> Any:
        """What `loop.ask` answers, once for all tries of one call.

        The reply must be JSON (dict, list, str, int, float, bool or None), as a later try gets
        it from the store. The store is read for retries alone; a try that comes while another
        is under way gets that one's reply.
        """
        key = caller.retry_key
        if key is None:
            return await loop.ask(message)
        asked = self._asked.get(key)
        if asked is None:
            if caller.is_retry:
                asked = asyncio.ensure_future(self._recall(loop, message, key))
            else:
                asked = loop.post(message, retry_key=key)
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        # A caller that hangs up must not take the reply from one that has come back for it.
        return await asyncio.shield(asked)

    async def _recall(self, loop: Loop, message: Any, key: str) -> Any:
        last = _bucket(self._clock.now().wall_ms)
        params = (key, *range(last - _BUCKETS_KEPT, last + 1))
        rows = await self._store.fetch(_FIND, params)
        if rows:
            return json.loads(rows[0][0])
        return await loop.ask(message, retry_key=key)

    def remember(self, replies: Sequence[tuple[str, Any]], wall_ms: int) -> list[Write]:
        """The writes that keep each reply under its key."""
        bucket = _bucket(wall_ms)
        rows = [
            (bucket, key, json.dumps(reply, separators=(",", ":")).encode())
            for key, reply in replies
        ]
        return [Write(_INSERT, rows)]

    async def sweep(self, now: Now) -> int | None:
        """A housekeeping duty: delete some replies that are too old."""
        oldest_kept = _bucket(now.wall_ms) - _BUCKETS_KEPT
        old = await self._store.fetch(_OLD, (oldest_kept, _SWEEP_ROWS))
        if old:
            await self._committer.commit([Write(_DELETE, old)])
        more = len(old) == _SWEEP_ROWS
        return now.mono_ms + (_SWEEP_PAUSE_MS if more else 1 << _BUCKET_BITS)


def _bucket(wall_ms: int) -> int:
    return wall_ms >> _BUCKET_BITS
