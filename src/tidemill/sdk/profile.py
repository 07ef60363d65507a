"""`tm.use`: choosing, in a program, where its jobs run."""

from __future__ import annotations

from tidemill.sdk import client, project
from tidemill.sdk.client import Connection


def use(profile: str | None) -> None:
    """Run jobs by `[tool.tidemill.profiles.<profile>]` of `pyproject.toml` from now on.

    It goes before `$TIDEMILL_PROFILE`, which holds again after `use(None)`. What was submitted
    before keeps its place. `SubmitError`, and nothing changes, when the file has no such profile.
    """
    before = project.choose(profile)
    try:
        project.current()
    except Exception:
        project.choose(before)
        raise
    client.use(Connection())
