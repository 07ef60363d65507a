"""The demo: the documentation of Python's whole standard library, as one array job."""

from __future__ import annotations

from pathlib import Path


def run(output: Path) -> int:
    """Render the site into `output`, telling on the terminal how it goes; the exit code."""
    from tidemill.demo.show import run as show

    return show(output)


__all__ = ["run"]
