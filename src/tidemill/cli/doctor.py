"""`tidemill doctor`: what is missing before jobs can run, one line for each thing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import click

from tidemill.cli.finding import Finding, State
from tidemill.cli.output import JSON_OPTION, print_json

COLOURS: Final = {
    State.OK: "green",
    State.WRONG: "red",
    State.NOTE: "cyan",
    State.UNCHECKED: "yellow",
}
_WIDTH: Final = len("execution role")


@click.command(short_help="Say what is missing before jobs can run.")
@click.argument("modules", nargs=-1, metavar="[MODULE]...")
@JSON_OPTION
@click.pass_context
def doctor(ctx: click.Context, modules: tuple[str, ...], as_json: bool) -> None:
    """Say what is missing before jobs can run: one line for each thing, and what to do.

    MODULE, a name or a file, is imported as its jobs would import it. Nothing is changed. The exit
    code is 1 when something is wrong.
    """
    from tidemill.cli.examine import findings

    found: list[Finding] = []
    for each in findings(modules):
        found.append(each)
        if not as_json:
            click.echo(line(each))
    if as_json:
        print_json([_plain(each) for each in found])
    ctx.exit(int(is_wrong(found)))


def is_wrong(found: Iterable[Finding]) -> bool:
    """Whether anything is."""
    return any(each.state is State.WRONG for each in found)


def line(each: Finding) -> str:
    """`wrong  queue  there is no queue x; make it.`"""
    state = click.style(f"{each.state:<9}", fg=COLOURS[each.state])
    told = "; ".join(filter(None, (each.told, each.remedy)))
    return f"{state}  {each.check:<{_WIDTH}}  {told}"


def _plain(each: Finding) -> dict[str, str]:
    return {
        "check": each.check,
        "state": str(each.state),
        "told": each.told,
        "remedy": each.remedy,
    }
