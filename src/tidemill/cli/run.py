"""`tidemill run`: one call of a function as a job, waited for, its result printed."""

from __future__ import annotations

import inspect
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from tidemill.cli.argument import FUNCTION
from tidemill.cli.explain import ENDED, explain
from tidemill.cli.interrupt import leave_or_end
from tidemill.cli.job import describe, exit_code
from tidemill.cli.joined import plain
from tidemill.cli.logs import Printer
from tidemill.cli.need import need_options, options_of
from tidemill.cli.outcome import in_words
from tidemill.cli.target import job_of
from tidemill.cli.wait import Report
from tidemill.sdk.function import Job
from tidemill.sdk.shape import Shape, hints_of

FIRST_PAUSE_S: Final = 0.02
LAST_PAUSE_S: Final = 0.5


@click.command(
    # What follows the function's name is the function's own.
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@click.option("--detach", is_flag=True, help="Don't wait: print the id.")
@need_options
@FUNCTION
@click.argument("arguments", metavar="[ARG | --KEY VALUE]...", nargs=-1, type=click.UNPROCESSED)
def run(function: str, arguments: tuple[str, ...], detach: bool, **said: Any) -> None:
    """Call a function as a job, wait, and print its result as JSON.

    \b
    tidemill run app.py:report acme --year 2026 --tags '["a", "b"]'

    Arguments are read as JSON where they are JSON, else as texts; a parameter hinted as str gets
    the text. What the job prints is shown as it comes, on standard error. Options of this command
    stand before SCRIPT:FUNCTION, what follows is the function's. It needs no decorator.

    Exits with the job's own exit code. Ctrl-C asks whether to leave it running.
    """
    job = job_of(function, options_of(said))
    args, kwargs = arguments_of(job, arguments)
    try:
        job.parameters.bind(args, kwargs)
    except TypeError as error:
        raise click.UsageError(f"{error}.") from error
    made = job.submit(*args, **kwargs)
    if detach:
        click.echo(made.id)
        return
    try:
        ended = _follow(made.id)
    except KeyboardInterrupt:
        click.echo(err=True)
        sys.exit(leave_or_end(made.id, lambda: made.cancel("Ended with Ctrl-C.")))
    code = exit_code(ended)
    if code:
        click.echo(f"Error: {made.id} failed: {_reason(made, ended)}", err=True)
        sys.exit(code)
    json.dump(made.result(), sys.stdout, ensure_ascii=False, default=plain)
    sys.stdout.write("\n")


def arguments_of(job: Job[..., Any], words: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """Positional arguments and keywords: `--key value`, `--key=value`, `--flag` alone for True.

    After `--` everything is positional.
    """
    hints = hints_of(job.function)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            args += [_value(job, hints, place, each) for place, each in enumerate(rest, len(args))]
            break
        if not word.startswith("--"):
            args.append(_value(job, hints, len(args), word))
            continue
        key, equals, text = word[2:].partition("=")
        key = key.replace("-", "_")
        if not equals and (not rest or rest[0].startswith("--")):
            kwargs[key] = True
        else:
            kwargs[key] = _value(job, hints, key, text if equals else rest.pop(0))
    return args, kwargs


def _value(job: Job[..., Any], hints: dict[str, Any], place: int | str, text: str) -> Any:
    """An argument from its text, as its parameter is hinted."""
    name = job.parameters.name(place)
    hint = hints.get(name)
    if hint is str or hint is inspect.Parameter.empty:
        return text
    if hint is Path:
        return Path(text)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    shape: Shape = job.parameters.shape(place)
    try:
        return shape.load(value)
    except Exception as error:
        raise click.UsageError(f"{name}: {text} does not fit {hint} ({error}).") from error


def _follow(job_id: str) -> dict[str, Any]:
    """Show what it prints, and how it stands meanwhile, until it has ended."""
    report, pause_s = Report(), FIRST_PAUSE_S
    printer = Printer(job_id, as_json=False, to=sys.stderr, before=report.clear)
    try:
        while True:
            [job] = describe([job_id])
            if job["status"] in ("RUNNING", *ENDED):
                printer.print_job(job)
            if job["status"] in ENDED:
                return job
            report.show([job], [job])
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LAST_PAUSE_S)
    finally:
        report.clear()


def _reason(made: Any, ended: dict[str, Any]) -> str:
    try:
        made.result()
    except Exception as error:  # noqa: BLE001 - the function's own, whatever it is
        return in_words(error)
    return explain(ended)
