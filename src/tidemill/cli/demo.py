"""`tidemill demo`: a real batch of work on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command(short_help="Watch a real batch of work run.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-site"),
    show_default=True,
    help="Where the site is written.",
)
def demo(output: Path) -> None:
    """Render the documentation of Python's whole standard library, as one array job."""
    from tidemill.demo import run

    sys.exit(run(output))
