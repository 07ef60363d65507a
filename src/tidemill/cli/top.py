"""`tidemill top`: a live screen of queues, jobs, tenants, and of what waits for what.

The server is asked a few light questions each second, one after the other, in a thread of its own,
so that the screen answers to keys also while the server does not.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import click

from tidemill.cli import survey
from tidemill.cli.argument import QUEUE_OPTION
from tidemill.cli.connection import client
from tidemill.cli.explain import ENDED
from tidemill.cli.failure import sentence
from tidemill.cli.frame import (
    Block,
    frame,
    headline,
    queue_block,
    running_block,
    tenant_block,
    waiting_block,
)
from tidemill.cli.job import ACTIVE
from tidemill.cli.queues import chosen
from tidemill.cli.rate import Rate
from tidemill.cli.survey import RUNNING, WAITING, Count, Front, Listing

PAUSE_S: Final = 0.3
FRAME_S: Final = 1.0
ENDED_PAGE: Final = 200
QUIET_ROUNDS: Final = 4
"""A queue in which nothing is under way is looked at in one round of so many; so are the states
of a busy one in which next to nothing ever is."""
SELDOM: Final = ("SUBMITTED", "FAILED")
NOTED_MAX: Final = 20
PLAIN_SIZE: Final = (120, 60)
"""Columns and lines of the one frame that is printed where there is no terminal."""


@click.command()
@QUEUE_OPTION
def top(queue: str | None) -> None:
    """Watch queues, running jobs, rates, tenants, and what waits for what.

    q or Ctrl-C leaves. Where its output goes to no terminal it prints one frame.
    """
    watch = Watch(queue)
    for step in watch.round():
        step()
    if not sys.stdout.isatty():
        for line in watch.lines(*PLAIN_SIZE):
            click.echo(line.rstrip())
        return
    asking = threading.Thread(target=watch.keep_asking, daemon=True)
    asking.start()
    with contextlib.suppress(KeyboardInterrupt):
        _show(watch)
    watch.is_over.set()


def _show(watch: Watch) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            width, height = shutil.get_terminal_size()
            lines = watch.lines(width, height)
            text = Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop")
            live.update(text, refresh=True)
            if "q" in pressed(FRAME_S).lower():
                return


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Keys as they are pressed: a function that waits for some so long, and gives them."""
    import termios
    import tty

    if not sys.stdin.isatty():
        yield _wait
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)

    def pressed(wait_s: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], wait_s)
        return os.read(descriptor, 64).decode("utf-8", "replace") if ready else ""

    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _wait(wait_s: float) -> str:
    time.sleep(wait_s)
    return ""


class Watch:
    """What was last seen of each queue, renewed piece by piece."""

    def __init__(self, only: str | None) -> None:
        self.is_over = threading.Event()
        self._only = only
        self._problem = ""
        self._queues: list[dict[str, Any]] = chosen(only)
        self._policies: dict[str, dict[str, Any]] = {}
        self._listings: dict[tuple[str, str], Listing] = {}
        self._fronts: dict[str, Front] = {}
        self._notes: dict[str, str] = {}
        self._rate = Rate(time.time() * 1000)
        self._rounds = itertools.count()

    # Asking

    def keep_asking(self) -> None:
        """Renew what is known, a piece at a time, until it is over."""
        while not self.is_over.is_set():
            try:
                for step in self.round():
                    step()
                    self._problem = ""
                    if self.is_over.wait(PAUSE_S):
                        return
            except Exception as error:  # noqa: BLE001 - shown on the screen; then tried again
                self._problem = sentence(error) or repr(error)
                self.is_over.wait(FRAME_S)

    def round(self) -> Iterator[Callable[[], None]]:
        """The steps of one round, each one call to the server."""
        number = next(self._rounds)
        yield self._see_queues
        for queue in list(self._queues):
            name = queue["jobQueueName"]
            is_full = number % QUIET_ROUNDS == 0
            if not is_full and not self._is_busy(name):
                continue
            for status in ACTIVE:
                if not is_full and status in SELDOM:
                    continue
                yield partial(self._see, name, status)
            for status in ENDED:
                if not is_full and status in SELDOM:
                    continue
                yield partial(self._see_ended, name, status)
            yield partial(self._see_front, name)
        yield self._see_notes

    def _is_busy(self, queue: str) -> bool:
        return any(self._listings[queue, s].jobs for s in ACTIVE if (queue, s) in self._listings)

    def _see_queues(self) -> None:
        self._queues = survey.queues(self._only)
        arns = {q["schedulingPolicyArn"] for q in self._queues if q.get("schedulingPolicyArn")}
        if arns - self._policies.keys():
            self._policies = survey.policies(arns)

    def _see(self, queue: str, status: str) -> None:
        listing = survey.listing(queue, status, pages_max=1)
        self._rate.see(listing.jobs, time.time() * 1000)
        self._listings[queue, status] = listing

    def _see_ended(self, queue: str, status: str) -> None:
        listing = survey.listing(queue, status, pages_max=1, page=ENDED_PAGE)
        self._rate.see_ended(
            queue, status, listing.jobs, has_more=listing.has_more, now_ms=time.time() * 1000
        )

    def _see_front(self, queue: str) -> None:
        self._fronts[queue] = survey.front(queue)

    def _see_notes(self) -> None:
        """What jobs of the library say of their progress."""
        from tidemill.cli.progress import notes

        running = [job for job in self._jobs() if job["status"] in ("RUNNING", "PENDING")]
        self._notes = notes([job["jobId"] for job in running[:NOTED_MAX]])

    # Showing

    def _jobs(self) -> list[dict[str, Any]]:
        known = {each["jobQueueName"] for each in self._queues}
        listings = list(self._listings.items())
        found = {
            job["jobId"]: job
            for (queue, _), each in listings
            if queue in known
            for job in each.jobs
        }
        return list(found.values())

    def lines(self, width: int, height: int) -> list[str]:
        """The frame as it is known now."""
        jobs, rows, total = self._jobs(), [], Count()
        for queue in self._queues:
            count = Count()
            for listing in self._listings_of(queue["jobQueueName"]):
                count.add(listing)
                total.add(listing)
            front = self._fronts.get(queue["jobQueueName"])
            vcpus, oldest_ms = (front.vcpus, front.oldest_ms) if front else (None, None)
            rows.append((queue, count, vcpus, oldest_ms))
        blocks = [
            queue_block(rows),
            running_block(jobs, self._notes, width),
            waiting_block(jobs, width),
            self._tenants(),
        ]
        return frame(self._heading(total, width), blocks, width, height)

    def _heading(self, total: Count, width: int) -> list[str]:
        place = client("batch").meta.endpoint_url
        clock = time.strftime("%H:%M:%S")
        rate = self._rate.per_s(time.time() * 1000)
        told = (
            f"{total.told(RUNNING)} running, {total.told(WAITING)} waiting, "
            f"{rate:.3g} ended per second over the last minute"
        )
        first = headline(f"Tidemill at {place}  {clock}", "q leaves", width)
        problem = [click.style(self._problem[:width], fg="red")] if self._problem else []
        return [first, told[:width], *problem]

    def _listings_of(self, queue: str) -> list[Listing]:
        return [self._listings[queue, s] for s in ACTIVE if (queue, s) in self._listings]

    def _tenants(self) -> Block:
        found = []
        for queue in self._queues:
            policy = self._policies.get(queue.get("schedulingPolicyArn", ""))
            if policy is not None:
                name = queue["jobQueueName"]
                use = self._fronts.get(name)
                found += survey.shares(name, policy, self._listings_of(name), use)
        return tenant_block(found)
