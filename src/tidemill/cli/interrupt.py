"""Ctrl-C while a command waits for a job: the job goes on, unless a person says otherwise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

import click

INTERRUPTED: Final = 130
"""The exit code of a command that Ctrl-C has ended, as shells have it."""


def leave_or_end(job_id: str, end: Callable[[], None], results: str = "") -> int:
    """Ask whether `job_id` is to run on, and say how to come back to it; the exit code.

    `results` is the command that gets what comes of it, where `tidemill wait` does not.
    """
    if _is_to_end():
        end()
        click.echo(f"{job_id} is being ended.", err=True)
    else:
        then = f", and `{results}` joins what comes of it" if results else ""
        click.echo(f"It runs on. `tidemill wait {job_id}` waits for it{then}.", err=True)
    return INTERRUPTED


def _is_to_end() -> bool:
    """Whether a person says that it is to end; nobody to ask, or another Ctrl-C: it runs on."""
    if not sys.stdin.isatty():
        return False
    try:
        return not click.confirm("Leave it running?", default=True, err=True)
    except click.Abort:
        click.echo(err=True)
        return False
