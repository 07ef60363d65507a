"""`tidemill logs`: what a job printed, and with -f what it prints until it ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

import click

from tidemill.cli.argument import JOB_ID
from tidemill.cli.connection import client
from tidemill.cli.explain import ENDED, explain, size
from tidemill.cli.job import children, describe
from tidemill.cli.output import JSON_OPTION

GROUP: Final = "/aws/batch/job"
STARTED: Final = ("RUNNING", *ENDED)
PAUSE_S: Final = 0.3
CHILDREN_AT_ONCE: Final = 100


@click.command()
@JOB_ID
@click.option("-f", "--follow", is_flag=True, help="Stay until the job has ended.")
@click.option(
    "--attempt",
    type=click.IntRange(1),
    metavar="N",
    help="Of the Nth attempt only; of all by default.",
)
@JSON_OPTION
def logs(job_id: str, follow: bool, attempt: int | None, as_json: bool) -> None:
    """Print a job's output, all of its attempts'.

    Of an array, and of a job of several nodes, every one's output is printed, each line after
    its index; ID:INDEX names one child of an array, and ID#INDEX one node. --json prints one
    object a line.
    """
    [job] = describe([job_id])
    job_id = job["jobId"]
    printer = Printer(job_id, as_json)
    if attempt is not None:
        printer.print_new(_group(job), _stream_of(job, attempt), "")
    elif follow:
        _follow(job_id, printer)
    else:
        _print_all(job, printer)
        if not printer.has_printed and not as_json:
            click.echo(_silence(job), err=True)


def _print_all(job: dict[str, Any], printer: Printer) -> None:
    for batch in _parts(job, ()):
        for part in batch:
            printer.print_job(part)


def _follow(job_id: str, printer: Printer) -> None:
    over: set[str] = set()
    told = ""
    while True:
        begun = time.monotonic()
        [job] = describe([job_id])
        for batch in _parts(job, over):
            for part in batch:
                printer.print_job(part)
                if part["status"] in ENDED:
                    over.add(part["jobId"])
        if job["status"] in ENDED:
            if not printer.has_printed:
                click.echo(_silence(job), err=True)
            return
        if job["status"] != told and job["status"] not in STARTED and not printer.has_printed:
            told = job["status"]
            click.echo(f"{told}: {explain(job)}", err=True)
        # A round over a large array takes a while: leave the server at least as much.
        time.sleep(max(PAUSE_S, time.monotonic() - begun))


def _parts(job: dict[str, Any], over: set[str] | tuple[()]) -> Iterator[list[dict[str, Any]]]:
    """The job, or the children or nodes that have started, in batches; without those `over`."""
    nodes = int((job.get("nodeProperties") or {}).get("numNodes", 0))
    if nodes:
        names = (f"{job['jobId']}#{node}" for node in range(nodes))
        yield describe([name for name in names if name not in over])
        return
    if not size(job):
        yield [job]
        return
    ids = [each for each in children(job["jobId"], STARTED) if each not in over]
    ids.sort(key=lambda each: int(each.rpartition(":")[2]))
    for start in range(0, len(ids), CHILDREN_AT_ONCE):
        yield describe(ids[start : start + CHILDREN_AT_ONCE])


def _silence(job: dict[str, Any]) -> str:
    """Why nothing was printed."""
    if job["status"] in ENDED:
        return f"{job['jobId']} printed nothing ({job['status']}: {explain(job)})."
    if job["status"] == "RUNNING":
        return f"{job['jobId']} has printed nothing yet; -f waits for it."
    return f"{job['jobId']} has not started ({job['status']}: {explain(job)}); -f waits for it."


def _group(job: dict[str, Any]) -> str:
    configuration = (job.get("container") or {}).get("logConfiguration") or {}
    return str((configuration.get("options") or {}).get("awslogs-group", GROUP))


def _streams(job: dict[str, Any]) -> list[str]:
    """The log streams of a job's attempts, the present one last."""
    containers = [each.get("container") or {} for each in job.get("attempts", [])]
    containers.append(job.get("container") or {})
    named = (container.get("logStreamName") for container in containers)
    return list(dict.fromkeys(name for name in named if name))


def _stream_of(job: dict[str, Any], attempt: int) -> str:
    streams = _streams(job)
    if size(job):
        raise click.ClickException(
            f"{job['jobId']} is an array; --attempt is for one child, {job['jobId']}:0 for example."
        )
    if attempt > len(streams):
        times = "once" if len(streams) == 1 else f"{len(streams)} times"
        raise click.ClickException(
            f"{job['jobId']} was tried {times}, so there is no --attempt {attempt}."
        )
    return streams[attempt - 1]


class Printer:
    """Prints streams, each from where it stopped before."""

    def __init__(
        self,
        job_id: str,
        as_json: bool,
        to: TextIO | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`to` is where they are printed, standard output by default; `before` is called first."""
        self._to = to or sys.stdout
        self._before = before
        self.has_printed = False
        self._as_json = as_json
        self._with_index = not {":", "#"} & set(job_id)
        self._places: dict[str, str] = {}

    def print_job(self, job: dict[str, Any]) -> None:
        """Print what is new of all attempts of a job; lines of one of several begin with its index.

        One that alone was asked for needs none.
        """
        index = job["jobId"].replace("#", ":").partition(":")[2]
        prefix = f"{index}: " if index and self._with_index and not self._as_json else ""
        for stream in _streams(job):
            self.print_new(_group(job), stream, prefix)

    def print_new(self, group: str, stream: str, prefix: str) -> None:
        """Print what a stream has beyond what was printed of it."""
        api = client("logs")
        while True:
            place = self._places.get(stream)
            start = {"nextToken": place} if place else {}
            try:
                page = api.get_log_events(
                    logGroupName=group, logStreamName=stream, startFromHead=True, **start
                )
            except api.exceptions.ResourceNotFoundException:
                return  # a stream is made by the first line
            self._print(page["events"], stream, prefix)
            if page["nextForwardToken"] == place:
                return
            self._places[stream] = page["nextForwardToken"]

    def _print(self, events: list[dict[str, Any]], stream: str, prefix: str) -> None:
        if events:
            self._before()
        for event in events:
            if self._as_json:
                line = json.dumps({**event, "logStreamName": stream}, ensure_ascii=False)
                self._to.write(line + "\n")
            else:
                self._to.write(f"{prefix}{event['message']}\n")
        if events:
            self.has_printed = True
            self._to.flush()
