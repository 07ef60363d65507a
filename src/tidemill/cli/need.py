"""What a job of a function is given, said on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from tidemill.cli.completion import queue_names
from tidemill.sdk import quantity
from tidemill.sdk.definition import Needs
from tidemill.sdk.retry import retry_of

_OPTIONS: Final = (
    click.option(
        "--vcpus", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Fractions too."
    ),
    click.option("--memory", metavar="SIZE", help="512MiB, 2GiB."),
    click.option("--attempts", type=click.IntRange(1, 10), metavar="N", help="How often to try."),
    click.option("--timeout", metavar="TIME", help="Of each attempt: 90s, 15m, 2h."),
    click.option(
        "--queue", metavar="NAME", help="The queue it waits in.", shell_complete=queue_names
    ),
)


def NEED_OPTIONS(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802 - used like the other options
    """Give a command the options that `needs_of` reads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def needs_of(given: Mapping[str, Any]) -> Needs:
    """The needs that the options say, with the library's defaults."""
    said: dict[str, Any] = {"queue": given["queue"]}
    try:
        if given["vcpus"] is not None:
            said["vcpus"] = quantity.vcpus_text(given["vcpus"])
        if given["memory"] is not None:
            text = given["memory"]
            said["memory_mib"] = quantity.memory_mib(int(text) if text.isdigit() else text)
        if given["timeout"] is not None:
            said["timeout_s"] = quantity.timeout_s(given["timeout"])
    except ValueError as error:
        raise click.UsageError(f"--{error}".rstrip(".")) from error
    if given["attempts"] is not None:
        said["retry"] = retry_of(given["attempts"])
    return Needs(**said)
