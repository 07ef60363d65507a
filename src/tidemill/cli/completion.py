"""`tidemill completion`, and what a shell is told of ids and queues when somebody presses Tab.

Completion must never be in the way: where the server does not answer within a second, or says no,
nothing is offered and nothing is said.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
OFFERED_MAX: Final = 40
ANSWER_S: Final = 1.0
_ACTIVATE: Final = {
    "bash": 'eval "$(tidemill completion bash)"    # in ~/.bashrc',
    "zsh": 'eval "$(tidemill completion zsh)"    # in ~/.zshrc',
    "fish": "tidemill completion fish | source    # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_ACTIVATE.values()))
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options, recent job ids and queues.

    Have your shell read it when it starts:
    """
    from tidemill.cli.main import group

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "tidemill", "_TIDEMILL_COMPLETE").source())


def job_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The newest jobs whose ids begin so, with their names and states."""
    jobs = _quietly(lambda: itertools.islice(_newest(), 5 * OFFERED_MAX))
    fitting = (job for job in jobs if job["jobId"].startswith(incomplete))
    return [
        CompletionItem(job["jobId"], help=f"{job['jobName']}, {job['status']}")
        for job in itertools.islice(fitting, OFFERED_MAX)
    ]


def queue_names(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    incomplete: str,
) -> list[CompletionItem]:
    """The queues whose names begin so."""
    names = _quietly(lambda: iter(_queues()))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Whatever files the shell finds."""
    return [CompletionItem(incomplete, type="file")]


def _newest() -> Iterator[dict[str, Any]]:
    from tidemill.cli.job import newest

    return newest()


def _queues() -> list[str]:
    from tidemill.cli.job import queue_names as names

    return names()


def _quietly(ask: Any) -> list[Any]:
    """What `ask` gives, or nothing if that fails or takes too long."""
    try:
        if not _is_near():
            return []
        return list(ask())
    except Exception:  # noqa: BLE001 - whatever it is, a person is about to type on
        return []


def _is_near() -> bool:
    """Whether the server takes a connection at once: boto3 would try for longer than one waits."""
    from urllib.parse import urlsplit

    from tidemill.cli.connection import client

    place = urlsplit(client("batch").meta.endpoint_url)
    port = place.port or (443 if place.scheme == "https" else 80)
    with socket.create_connection((place.hostname or "", port), timeout=ANSWER_S):
        return True
