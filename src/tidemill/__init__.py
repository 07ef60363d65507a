"""Tidemill: background and batch work for web applications, spoken to through AWS's own APIs.

`import tidemill as tm` gives the Python library: `@tm.job` makes a job of a function. Its parts
are imported when they are first used, so that the import costs a program next to nothing.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as type checkers know it, without importing typing
if TYPE_CHECKING:
    from typing import Any

    from tidemill.sdk.attempt import Attempt
    from tidemill.sdk.checkpoint import checkpoint
    from tidemill.sdk.completion import as_completed
    from tidemill.sdk.context import Context, SoftTimeout, context
    from tidemill.sdk.eager import eager
    from tidemill.sdk.error import JobFailed, RemoteTraceback, SubmitError, TidemillError
    from tidemill.sdk.failure import Failure
    from tidemill.sdk.file import File
    from tidemill.sdk.function import Job, job
    from tidemill.sdk.local import LocalServer, local
    from tidemill.sdk.lookup import run
    from tidemill.sdk.option import Options
    from tidemill.sdk.profile import use
    from tidemill.sdk.progress import Progress
    from tidemill.sdk.report import progress
    from tidemill.sdk.result import RemoteException
    from tidemill.sdk.run import MapRun, Run

__all__ = [
    "Attempt",
    "Context",
    "Failure",
    "File",
    "Job",
    "JobFailed",
    "LocalServer",
    "MapRun",
    "Options",
    "Progress",
    "RemoteException",
    "RemoteTraceback",
    "Run",
    "SoftTimeout",
    "SubmitError",
    "TidemillError",
    "as_completed",
    "checkpoint",
    "context",
    "eager",
    "job",
    "local",
    "progress",
    "run",
    "use",
]

_HOMES = {
    "Attempt": "tidemill.sdk.attempt",
    "Context": "tidemill.sdk.context",
    "Failure": "tidemill.sdk.failure",
    "File": "tidemill.sdk.file",
    "Job": "tidemill.sdk.function",
    "JobFailed": "tidemill.sdk.error",
    "LocalServer": "tidemill.sdk.local",
    "MapRun": "tidemill.sdk.run",
    "Options": "tidemill.sdk.option",
    "Progress": "tidemill.sdk.progress",
    "RemoteException": "tidemill.sdk.result",
    "RemoteTraceback": "tidemill.sdk.error",
    "Run": "tidemill.sdk.run",
    "SoftTimeout": "tidemill.sdk.context",
    "SubmitError": "tidemill.sdk.error",
    "TidemillError": "tidemill.sdk.error",
    "as_completed": "tidemill.sdk.completion",
    "checkpoint": "tidemill.sdk.checkpoint",
    "context": "tidemill.sdk.context",
    "eager": "tidemill.sdk.eager",
    "job": "tidemill.sdk.function",
    "local": "tidemill.sdk.local",
    "progress": "tidemill.sdk.report",
    "run": "tidemill.sdk.lookup",
    "use": "tidemill.sdk.profile",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
