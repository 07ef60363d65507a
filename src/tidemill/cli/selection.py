"""Which jobs a command is to act on: ids, or filters whose result is shown and asked about first.

Filters are all meant at once. ListJobs narrows by queue, state, time and tenant; names, tags and
the rest are looked at here.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import click

from tidemill.cli import completion
from tidemill.cli.job import DESCRIBE_MAX, describe, find, listed, queue_names

UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
NAMES_SHOWN: Final = 4
Job = dict[str, Any]


def chooser(failed_help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The argument and options by which jobs are chosen; the command is given a `Choice`."""
    parts = [
        click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=completion.job_ids),
        click.option(
            "--tag", "tags", multiple=True, metavar="K=V", help="With this tag; K alone: any value."
        ),
        click.option("--name", metavar="GLOB", help="With a name like this: 'resize-*'."),
        click.option("--failed", is_flag=True, help=failed_help),
        click.option("--since", metavar="AGE", help="Submitted no longer ago than 30m, 2h, 3d."),
        click.option(
            "--queue",
            metavar="NAME",
            help="In this queue.",
            shell_complete=completion.queue_names,
        ),
        click.option("--tenant", metavar="NAME", help="Of this tenant (its share identifier)."),
        click.option("--yes", "-y", is_flag=True, help="Don't ask, for scripts."),
    ]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def chosen(**parameters: Any) -> Any:
            names = ("ids", "tags", "name", "failed", "since", "queue", "tenant", "yes")
            given = {name: parameters.pop(name) for name in names}
            return command(choice=Choice(**given), **parameters)

        decorated: Callable[..., Any] = chosen
        for part in reversed(parts):
            decorated = part(decorated)
        return decorated

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was asked for on the command line."""

    ids: tuple[str, ...]
    tags: tuple[str, ...]
    name: str | None
    failed: bool
    since: str | None
    queue: str | None
    tenant: str | None
    yes: bool

    @property
    def has_filters(self) -> bool:
        """Whether anything but ids was given."""
        return bool(
            self.tags or self.name or self.failed or self.since or self.queue or self.tenant
        )

    def jobs(
        self,
        verb: str,
        statuses: Iterable[str],
        *,
        has_failed: Callable[[Job], bool],
        but: str | None = None,
    ) -> list[Job]:
        """The chosen jobs, in detail; by filters, those in `statuses` that the person agreed to.

        `has_failed` says of a summary whether --failed means it; what has the tag `but` is meant by
        no filter. Ids need no question: they are meant. Exits with 0 when no job is there, with 1
        after a no.
        """
        if self.ids and self.has_filters:
            raise click.UsageError("Give ids or filters, not both.")
        if self.ids:
            return describe(dict.fromkeys(self.ids))
        if not self.has_filters:
            raise click.UsageError(
                f"Which jobs? Give ids, or filters such as --name 'resize-*' --since 2h; "
                f"`tidemill {verb} --help` lists them."
            )
        matching = self._matching(statuses, has_failed)
        found = [job for job in matching if but not in (job.get("tags") or {})]
        if not found:
            click.echo(f"No job to {verb} matches.", err=True)
            sys.exit(0)
        self._agree(verb, found)
        return found

    def _matching(
        self, statuses: Iterable[str], has_failed: Callable[[Job], bool]
    ) -> Iterator[Job]:
        wanted = [tag.partition("=") for tag in self.tags]
        batch: list[Job] = []
        for job in self._recent(statuses):
            if (
                (self.name is None or fnmatch.fnmatchcase(job["jobName"], self.name))
                and self.tenant in (None, job.get("shareIdentifier"))
                and (not self.failed or has_failed(job))
            ):
                batch.append(job)
            if len(batch) == DESCRIBE_MAX:
                yield from _tagged(batch, wanted)
                batch = []
        yield from _tagged(batch, wanted)

    def _recent(self, statuses: Iterable[str]) -> Iterator[Job]:
        """Jobs in these states no older than --since; the newest come first, so no more is read."""
        since_ms = 0.0 if self.since is None else time.time() * 1000 - 1000 * age_s(self.since)
        queues = [self.queue] if self.queue else queue_names()
        for queue, status in itertools.product(queues, statuses):
            jobs = listed([status], queue)
            yield from itertools.takewhile(lambda job: job["createdAt"] >= since_ms, jobs)

    def _agree(self, verb: str, jobs: list[Job]) -> None:
        told = f"{verb.capitalize()} {_counted(jobs)}"
        if self.yes:
            click.echo(f"{told}.", err=True)
            return
        if not sys.stdin.isatty():
            raise click.ClickException(
                f"{told}? There is no terminal to ask at; --yes says that it is meant."
            )
        if not click.confirm(f"{told}?", err=True):
            click.echo("Nothing was done.", err=True)
            sys.exit(1)


def _tagged(batch: list[Job], wanted: list[tuple[str, str, str]]) -> Iterator[Job]:
    """Those that have all these tags, with the details that DescribeJobs has of them."""
    known = find([job["jobId"] for job in batch]) if batch else {}
    for job in batch:
        detail = known.get(job["jobId"])
        if detail is not None and all(_has_tag(detail, *tag) for tag in wanted):
            yield detail


def _has_tag(job: Job, key: str, equals: str, value: str) -> bool:
    tags = job.get("tags") or {}
    return key in tags and (not equals or tags[key] == value)


def _counted(jobs: list[Job]) -> str:
    """How many there are, and of what names."""
    names = Counter(job["jobName"] for job in jobs)
    shown = [
        f"{name} ({number})" if number > 1 else name
        for name, number in names.most_common(NAMES_SHOWN)
    ]
    if len(names) > NAMES_SHOWN:
        shown.append(f"{len(names) - NAMES_SHOWN} other names")
    one = len(jobs) == 1
    return f"{len(jobs):,} {'job' if one else 'jobs'}: {', '.join(shown)}"


def age_s(text: str) -> float:
    """The seconds of an age such as 90s, 30m, 2h or 3d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no age such as 30m, 2h or 3d", param_hint="--since")
    return float(found[1]) * UNITS_S[found[2]]
