"""`tidemill map` and `results`: a function over the rows of a file as one array job, and what came
of it, joined in the order of the rows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from tidemill.cli import joined, row
from tidemill.cli.argument import FUNCTION, JOB_ID
from tidemill.cli.handle import handle_of
from tidemill.cli.interrupt import leave_or_end
from tidemill.cli.need import need_options, options_of
from tidemill.cli.outcome import Outcome
from tidemill.cli.target import job_of

CHILDREN_MAX: Final = 1000
"""Without --chunk, rows are grouped so that there are no more jobs than this."""
TOLD_MAX: Final = 10
OUTPUT_OPTION: Final[Callable[..., Any]] = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where results go: .csv, .tsv or .jsonl; JSON Lines to standard output by default.",
)


@click.command(name="map")
@FUNCTION
@click.argument("file", metavar="FILE", type=click.Path())
@click.option(
    "--chunk",
    type=click.IntRange(1),
    metavar="N",
    help="Rows that one job takes; by default as many as make at most 1000 jobs.",
)
@OUTPUT_OPTION
@click.option("--detach", is_flag=True, help="Don't wait: print the id, for `tidemill results`.")
@need_options
def map(  # noqa: A001 - the command's name
    function: str,
    file: str,
    chunk: int | None,
    output: Path | None,
    detach: bool,
    **said: Any,
) -> None:
    """Run a function over the rows of a CSV or JSON Lines file, as one array job.

    \b
    tidemill map app.py:enrich contacts.csv --chunk 500 -o out.csv

    The function takes a row as a dict, or as a dataclass where its parameter is hinted as one; it
    needs no decorator. FILE ends in .csv, .tsv, .jsonl or .ndjson, or is - for JSON Lines on
    standard input. Results come in the order of the rows.

    Ctrl-C asks whether to leave it running. Exits with 1 when rows failed: they are told by
    number, the results of the others are written, `tidemill retry ID` runs the failed ones again,
    and `tidemill results ID` then joins all.
    """
    row.check_suffix(file)
    joined.check_suffix(output)
    job = job_of(function, options_of(said))
    try:
        job.parameters.bind((None,), {})
    except TypeError as error:
        raise click.ClickException(
            f"{function} can't take a row, which is its one argument: {error}."
        ) from error
    if chunk is None and file == row.STREAM:
        raise click.UsageError("Standard input has an unknown number of rows; give --chunk.")
    if file != row.STREAM and not Path(file).is_file():
        raise click.ClickException(f"There is no file {file}.")
    grain = chunk or max(1, -(-row.count(file) // CHILDREN_MAX))
    run = job.map(row.rows(file, job), chunk=grain)
    if not len(run):
        joined.write(output, list)
        click.echo(f"{file} has no rows; nothing was submitted.", err=True)
        return
    if detach:
        click.echo(run.id)
        return
    _wait(run, output)
    sys.exit(_finish(Outcome(run), output))


def _wait(run: Any, output: Path | None) -> None:
    """Stay until it has ended, or until Ctrl-C and an answer."""
    where = f" -o {output}" if output else ""
    try:
        run.wait(progress=True)
    except KeyboardInterrupt:
        command = f"tidemill results {run.id}{where}"
        sys.exit(leave_or_end(run.id, lambda: run.cancel("Ended with Ctrl-C."), command))


def _finish(outcome: Outcome, output: Path | None) -> int:
    """Write what there is, tell what failed; the exit code."""
    written = joined.write(output, outcome.values)
    failures = outcome.failures()
    for told in failures[:TOLD_MAX]:
        click.echo(told, err=True)
    if len(failures) > TOLD_MAX:
        click.echo(f"... and {len(failures) - TOLD_MAX:,} more", err=True)
    place = f" written to {output}" if output else ""
    if not failures:
        if output:
            click.echo(f"{written:,} results{place}.", err=True)
        return 0
    where = f" -o {output}" if output else ""
    click.echo(
        f"{written:,} results{place}; {outcome.failed_rows:,} failed. "
        f"`tidemill logs {outcome.id}` shows what they printed, "
        f"`tidemill retry {outcome.id}` runs these again, and "
        f"`tidemill results {outcome.id}{where}` then joins all.",
        err=True,
    )
    return 1


@click.command()
@JOB_ID
@OUTPUT_OPTION
def results(job_id: str, output: Path | None) -> None:
    """Print or write what came of a `tidemill map`, or of any run of the library.

    For a map whose `tidemill map` did not wait, or of which rows were retried. Exits with 1 when
    rows failed, whose results are left out, and with 2 when it has not ended.
    """
    joined.check_suffix(output)
    outcome = Outcome(handle_of(job_id))
    if not outcome.has_ended:
        click.echo(
            f"{job_id} has not ended ({outcome.status}); `tidemill wait {job_id}` waits for it.",
            err=True,
        )
        sys.exit(2)
    sys.exit(_finish(outcome, output))
