"""The arguments and options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tidemill.cli.completion import files, job_ids, queue_names

JOB_ID: Callable[..., Any] = click.argument("job_id", metavar="ID", shell_complete=job_ids)
JOB_IDS: Callable[..., Any] = click.argument(
    "job_ids", metavar="ID...", nargs=-1, required=True, shell_complete=job_ids
)
FUNCTION: Callable[..., Any] = click.argument(
    "function", metavar="SCRIPT:FUNCTION", shell_complete=files
)
QUEUE_OPTION: Callable[..., Any] = click.option(
    "--queue", metavar="NAME", help="Of this queue only.", shell_complete=queue_names
)
TENANT_OPTION: Callable[..., Any] = click.option(
    "--tenant",
    metavar="NAME",
    help="Of this tenant only: the jobs that were submitted with its share identifier.",
)
