"""The one exception with which Batch's domain refuses something; it knows no AWS fault."""

from __future__ import annotations


class Refused(Exception):
    """A command is refused and nothing was changed: one sentence that names the member."""
