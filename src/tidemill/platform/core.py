"""What a service's core is: it decides, synchronously and purely, and says what must happen.

`handle` is the only way in. It is handed everything it may know: the messages, the facts that
were loaded for them, the time. It changes its own memory and returns what must be made durable
and what must be done after that. A core does no I/O and imports nothing that could.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidemill.platform.clock import Now
from tidemill.platform.store import Write


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as the feed stores it: compact, detail is made when wanted.

    `source` is the service (`batch`), `kind` what happened (`JobStateChange`), `body` small
    JSON that names what it happened to.
    """

    source: str
    kind: str
    body: bytes


@dataclass(slots=True)
class Outcome:
    """What handling a batch of messages led to.

    `replies` is as long as the messages were: a value each, or the exception that refuses it
    (nothing was changed for that message then). `writes` and `events` are committed in one
    transaction; after that, and only then, replies are sent and `effects` performed.
    """

    replies: list[Any] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)


class Core(Protocol):
    """The deciding part of a service."""

    def handle(self, messages: Sequence[Any], now: Now) -> Outcome:
        """Take the messages in order, then do what is due at `now`; none at all is a wake-up."""

    @property
    def next_wake_ms(self) -> int | None:
        """The monotonic time at which something falls due next, or None."""
