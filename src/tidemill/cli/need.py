"""What is said on the command line of the jobs of a function: options of the library's `submit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from tidemill.cli.completion import queue_names

_OPTIONS: Final = (
    click.option(
        "--vcpus",
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="vCPUs of each job, fractions too.  [default: 1]",
    ),
    click.option("--memory", metavar="SIZE", help="Of each job: 512MiB, 2GiB.  [default: 512MiB]"),
    click.option("--timeout", metavar="TIME", help="Of each attempt: 90s, 15m, 2h."),
    click.option(
        "--attempts", type=click.IntRange(1, 10), metavar="N", help="How often each is tried."
    ),
    click.option(
        "--queue",
        metavar="NAME",
        help="The queue; by default the project's, or `default`.",
        shell_complete=queue_names,
    ),
    click.option("--tenant", metavar="NAME", help="Whose it is: tenants share a queue fairly."),
    click.option("--tag", "tags", multiple=True, metavar="K=V", help="Tag the job, to find it by."),
    click.option("--keep", metavar="TIME", help="How long results are kept.  [default: 7d]"),
)


def need_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `options_of` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The library's options for what was said; nothing for what was not."""
    said = {name: value for name, value in given.items() if value not in (None, ())}
    if str(said.get("memory", "")).isdigit():
        said["memory"] = int(said["memory"])
    tags = said.pop("tags", ())
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{tag!r} is not of the form K=V", param_hint="--tag")
        said.setdefault("tags", {})[key] = value
    return said
