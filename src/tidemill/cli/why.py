"""`tidemill why`: what a job waits for, condition by condition, and how long that may take; or why
it ended as it did."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from typing import Any, Final

import click

from tidemill.cli import estimate, survey
from tidemill.cli.argument import JOB_ID
from tidemill.cli.condition import Condition, awaited, conditions_of, place_in
from tidemill.cli.explain import ENDED, explain, is_hopeless, size
from tidemill.cli.job import children, describe, find
from tidemill.cli.output import JSON_OPTION, coloured, print_json, terminal_width
from tidemill.cli.survey import Count, Front, states_of

WAITS: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")
AHEAD_NAMED: Final = 3
_MARKS: Final = {True: click.style("[x]", fg="green"), False: click.style("[ ]", fg="yellow")}


@click.command()
@JOB_ID
@JSON_OPTION
def why(job_id: str, as_json: bool) -> None:
    """Say what a job waits for, or why it ended as it did.

    First comes one sentence. Of a job that waits, every condition for its start follows, in the
    order in which they are looked at: [x] holds, [ ] does not. Then what is before it in its queue,
    and when it may start or end, as far as jobs like it have been measured.
    """
    [job] = describe([job_id])
    answer = _Answer(job)
    if as_json:
        print_json(answer.plain())
        return
    click.echo(f"{coloured(job['status'])}: {explain(job)}")
    for line in answer.lines():
        click.echo(line)


class _Answer:
    """All that there is to say of one job."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.front: Front | None = None
        self.conditions: list[Condition] = []
        if job["status"] in WAITS:
            self.front = survey.front(job["jobQueue"])
            self.conditions = conditions_of(job, self.front)
        self.measured = None if job["status"] in ENDED else estimate.measured(job)

    def plain(self) -> dict[str, Any]:
        """For programs."""
        told = {name: self.job.get(name) for name in ("jobId", "status", "statusReason")}
        waits_for = [
            {name: each.get(name) for name in ("jobId", "jobName", "status", "statusReason")}
            for _, each in awaited(self.job)
            if each is not None and each["status"] not in ENDED
        ]
        return {
            **told,
            "waitsFor": waits_for if self.job["status"] in WAITS else [],
            "conditions": [each.plain() for each in self.conditions],
            "ahead": self._ahead(),
            "measured": None if self.measured is None else self.measured.plain(),
            "estimate": self._estimate(),
        }

    def lines(self) -> list[str]:
        """For people: what follows the first sentence."""
        lines = []
        for each in self.conditions:
            lines += _wrapped(_MARKS[each.holds], each.name, each.detail)
        ahead = self._ahead()
        if ahead:
            lines += _wrapped("   ", "ahead", _named(ahead))
        told = self._estimate()
        if told:
            lines += _wrapped("   ", "estimate", told)
        if self.job["status"] == "FAILED" and size(self.job):
            first = next(children(self.job["jobId"], ["FAILED"]), None)
            if first is not None:
                lines.append(f"  first {first}: {explain(describe([first])[0])}")
        return lines

    def _ahead(self) -> list[str]:
        """The ids of what is before it in its queue, as far as the snapshot tells."""
        place = self._place()
        return self.front.next_ids[:place] if self.front and place else []

    def _place(self) -> int | None:
        return None if self.front is None else place_in(self.front, self.job["jobId"])

    def _estimate(self) -> str:
        job, took = self.job, self.measured
        if job["status"] in ENDED or is_hopeless(job):
            return ""
        if took is None:
            return "none yet: no job like it has ended well"
        told = took.told()
        if job["status"] == "RUNNING":
            return f"{told}; {estimate.left(job, took, time.time() * 1000)}"
        if size(job) and any(states_of(job).get(s) for s in ("STARTING", "RUNNING", *ENDED)):
            return f"{told}; {self._rest(took)}"
        place = self._place()
        if place is None:
            return told
        return f"{told}; {estimate.in_line(job, took, place, self._at_once())}"

    def _rest(self, took: estimate.Measured) -> str:
        states = states_of(self.job)
        left = size(self.job) - sum(states.get(status, 0) for status in ENDED)
        return estimate.rest(left, states.get("RUNNING") or 1, took)

    def _at_once(self) -> int:
        """How many jobs of its queue run now; what is free is not counted on, nor what an engine
        holds ready (STARTING) until there is room."""
        count = Count()
        for status in ("RUNNING", "PENDING"):
            count.add(survey.listing(self.job["jobQueue"], status, pages_max=1))
        return max(1, count.of(["RUNNING"]))


def _named(ahead: list[str]) -> str:
    """Whose jobs these are, those of one array together, the next first."""
    together = Counter(job_id.partition(":")[0] for job_id in ahead)
    first = list(together)[:AHEAD_NAMED]
    known = find(first)
    told = []
    for job_id in first:
        name = known[job_id]["jobName"] if job_id in known else "gone"
        parts = f", {together[job_id]} of its children" if together[job_id] > 1 else ""
        told.append(f"{job_id} ({name}{parts})")
    more = len(ahead) - sum(together[job_id] for job_id in first)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _wrapped(mark: str, name: str, detail: str) -> list[str]:
    """A condition, wrapped where the terminal ends; its words begin below each other."""
    text = f"{name}: {detail}"
    lines = textwrap.wrap(
        text, max(terminal_width() - 6, 40), break_long_words=False, break_on_hyphens=False
    )
    return [f"  {mark} {lines[0]}", *(f"        {line}" for line in lines[1:])]
