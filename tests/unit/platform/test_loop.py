"""The loop: decide in batches, commit, then reply and perform; wake up when the core says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tidemill.platform.clock import Now, VirtualClock
from tidemill.platform.commit import Committer
from tidemill.platform.core import Event, Outcome
from tidemill.platform.loop import BATCH_MAX, Loop, Stopped
from tidemill.platform.store import Migration, Row, StoreError, Write


class Journal:
    """A store, a ledger and an engine in one: writes down what happens, in order."""

    epoch = 1

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.error: StoreError | None = None

    async def open(self, migrations: Sequence[Migration]) -> None: ...

    async def commit(self, writes: Sequence[Write]) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.lines += [f"commit {write.sql}" for write in writes]

    async def fetch(self, sql: str, params: Row = ()) -> list[Row]:
        return []

    async def backup(self, path: str) -> None: ...

    async def close(self) -> None: ...

    def perform(self, effects: Sequence[Any]) -> None:
        self.lines += [f"perform {effect}" for effect in effects]

    def events(self, events: Sequence[Event], wall_ms: int) -> list[Write]:
        return [Write(f"event {event.kind}", [()]) for event in events]

    def published(self) -> None:
        self.lines.append("published")

    def replies(self, replies: Sequence[tuple[str, Any]], wall_ms: int) -> list[Write]:
        return [Write(f"reply {key}={reply}", [()]) for key, reply in replies]


class Echo:
    """Replies with its messages; refuses `bad`, breaks at `bug`, is silent at `quiet`."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.woken_ms: list[int] = []
        self.next_wake_ms: int | None = None

    def handle(self, messages: Sequence[Any], now: Now) -> Outcome:
        outcome = Outcome()
        self.batches.append(list(messages))
        if self.next_wake_ms is not None and now.mono_ms >= self.next_wake_ms:
            self.woken_ms.append(now.mono_ms)
            self.next_wake_ms = None
        for message in messages:
            if message == "bug":
                raise ZeroDivisionError("a bug")
            if message == "bad":
                outcome.replies.append(ValueError("bad"))
                continue
            outcome.replies.append(message)
            if message != "quiet":
                outcome.writes.append(Write(str(message), [()]))
                outcome.events.append(Event("echo", f"of {message}", b""))
                outcome.effects.append(message)
        return outcome


@asynccontextmanager
async def running(
    journal: Journal, core: Echo, clock: VirtualClock | None = None
) -> AsyncIterator[tuple[Loop, asyncio.Task[None]]]:
    committer = Committer(journal)
    loop = Loop(core, committer, clock or VirtualClock(), journal.perform, journal)
    task = asyncio.create_task(loop.run())
    async with asyncio.timeout(30):
        yield loop, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_reply_and_effects_come_after_the_commit_of_all_that_goes_with_it() -> None:
    async def main() -> None:
        journal = Journal()
        async with running(journal, Echo()) as (loop, _):
            asked = asyncio.create_task(loop.ask("a", retry_key="k1"))
            asked.add_done_callback(lambda _: journal.lines.append("replied"))
            assert await asked == "a"
            await asyncio.sleep(0)
        assert journal.lines == [
            "commit a",
            "commit reply k1=a",
            "commit event of a",
            "published",
            "perform a",
            "replied",
        ]

    asyncio.run(main())


def test_a_refusal_reaches_its_caller_alone_and_is_not_remembered() -> None:
    async def main() -> None:
        journal = Journal()
        async with running(journal, Echo()) as (loop, _):
            good, bad = await asyncio.gather(
                loop.ask("a"), loop.ask("bad", retry_key="k"), return_exceptions=True
            )
            assert good == "a"
            assert isinstance(bad, ValueError)
        assert not [line for line in journal.lines if "reply" in line]

    asyncio.run(main())


def test_messages_are_handled_in_order_in_bounded_batches() -> None:
    async def main() -> None:
        core = Echo()
        async with running(Journal(), core) as (loop, _):
            loop.tell(range(2 * BATCH_MAX))
            await loop.ask("last")
        handled = [message for batch in core.batches for message in batch]
        assert handled == [*range(2 * BATCH_MAX), "last"]
        assert max(len(batch) for batch in core.batches) == BATCH_MAX

    asyncio.run(main())


def test_the_core_is_woken_at_the_start_and_when_it_is_due() -> None:
    async def main() -> None:
        clock, core = VirtualClock(), Echo()
        core.next_wake_ms = 0
        async with running(Journal(), core, clock) as (loop, _):
            await loop.ask("quiet")
            assert core.woken_ms == [0]
            core.next_wake_ms = 5_000
            await loop.ask("quiet")
            clock.advance(4_999)
            await loop.ask("quiet")
            assert core.woken_ms == [0]
            clock.advance(1)
            await loop.ask("quiet")
            assert core.woken_ms == [0, 5_000]
            assert clock.next_due_ms is None

    asyncio.run(main())


def test_a_caller_that_hangs_up_does_not_take_its_command_back() -> None:
    async def main() -> None:
        core = Echo()
        async with running(Journal(), core) as (loop, _):
            asked = asyncio.create_task(loop.ask("a"))
            await asyncio.sleep(0)
            asked.cancel()
            await loop.ask("b")
        assert [message for batch in core.batches for message in batch] == ["a", "b"]

    asyncio.run(main())


@pytest.mark.parametrize("message", ["a", "bug"])
def test_a_failed_commit_or_a_bug_ends_the_loop_and_nobody_hangs(message: str) -> None:
    async def main() -> None:
        journal = Journal()
        journal.error = StoreError("the disk is full")
        async with running(journal, Echo()) as (loop, task):
            asked = [asyncio.create_task(loop.ask(text)) for text in ("quiet", message)]
            await asyncio.sleep(0)
            late = asyncio.create_task(loop.ask("late"))
            expected = StoreError if message == "a" else ZeroDivisionError
            for outcome in await asyncio.gather(task, *asked, late, return_exceptions=True):
                assert isinstance(outcome, expected)
            with pytest.raises(expected):
                await loop.ask("later")
        assert journal.lines == []

    asyncio.run(main())


def test_a_stop_refuses_whoever_still_waits() -> None:
    async def main() -> None:
        async with running(Journal(), Echo()) as (loop, task):
            await loop.ask("quiet")
            asked = asyncio.create_task(loop.ask("a"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(Stopped, match="send the call again"):
                await asked

    asyncio.run(main())


def test_a_read_waits_for_the_transaction_that_it_could_have_seen() -> None:
    async def main() -> None:
        journal, core = Journal(), Echo()
        async with running(journal, core) as (loop, _):
            await loop.ask("quiet")
            await loop.settled()
            loop.tell(["a"])
            while core.batches[-1] != ["a"]:
                await asyncio.sleep(0)
            assert "commit a" not in journal.lines
            await loop.settled()
            assert "commit a" in journal.lines

    asyncio.run(main())
