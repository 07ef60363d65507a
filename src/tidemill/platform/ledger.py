"""The loop's `Ledger` as a server has it: events go to the feed, replies are remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.platform.core import Event
from tidemill.platform.feed import Feed
from tidemill.platform.retry import Replies
from tidemill.platform.store import Write


@dataclass(frozen=True, slots=True)
class StoreLedger:
    """One for all loops of a server, as event numbers are given in the order of commits."""

    feed: Feed
    remembered: Replies

    def events(self, events: Sequence[Event], wall_ms: int) -> list[Write]:
        """The writes that append `events` to the feed."""
        return self.feed.append(events, wall_ms)

    def published(self) -> None:
        """Wake the feed's subscribers."""
        self.feed.publish()

    def replies(self, replies: Sequence[tuple[str, Any]], wall_ms: int) -> list[Write]:
        """The writes that remember the reply to each retry key."""
        return self.remembered.remember(replies, wall_ms)
