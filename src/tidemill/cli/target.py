"""SCRIPT:FUNCTION on the command line: the function, imported here as its jobs will import it.

A function need not be decorated: a plain one is taken with what the command line says it needs.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import click

from tidemill.cli.connection import client
from tidemill.sdk import reference
from tidemill.sdk.definition import Needs
from tidemill.sdk.function import Job


def job_of(text: str, options: Mapping[str, Any]) -> Job[..., Any]:
    """The job that `app.py:enrich` or `package.module:enrich` names, with the library's options.

    A function that is not decorated with @tm.job is one with what such a job needs by default.
    """
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise click.UsageError(
            f"{text!r} names no function; write SCRIPT:FUNCTION, for example app.py:enrich."
        )
    client("batch")  # a job that asks for its connection finds the one that is meant here
    module, found = _load(place, name)
    if isinstance(found, FunctionType):
        job: Job[..., Any] = Job(found, Needs())
        # Its jobs look it up by its name and wrap it likewise.
        setattr(sys.modules[found.__module__], found.__qualname__, job)
        found = job
    if not isinstance(found, Job):
        raise click.ClickException(
            f"{name} in {place} is no function but {type(found).__name__}; {_offer(module)}."
        )
    try:
        return found.options(**options)
    except (ValueError, TypeError) as error:
        raise click.UsageError(f"--{error}") from error


def _load(place: str, name: str) -> tuple[ModuleType, Any]:
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise click.ClickException(f"There is no file {place}.")
        see_first(str(path.parent))
        place = str(path)
    else:
        see_first(os.getcwd())  # noqa: PTH109 - sys.path is of texts
    try:
        found = reference.load(f"{place}:{name}")
    except AttributeError as error:
        module = sys.modules.get(reference.SCRIPT_MODULE if place.endswith(".py") else place)
        if module is None or hasattr(module, name):
            raise _unimportable(place, error) from error
        raise click.ClickException(
            f"{place} has no function {name!r}; {_offer(module)}."
        ) from error
    except ModuleNotFoundError as error:
        if error.name and (place + ".").startswith(error.name + "."):
            raise click.ClickException(
                f"There is no module {place!r} here; write a script with its .py, or go to the "
                f"folder that the module is imported from."
            ) from error
        raise _unimportable(place, error) from error
    except (Exception, SystemExit) as error:
        raise _unimportable(place, error) from error
    return sys.modules[reference.SCRIPT_MODULE if place.endswith(".py") else place], found


def see_first(folder: str) -> None:
    """Have the script's own folder go first among those that modules are imported from."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _unimportable(place: str, error: BaseException) -> click.ClickException:
    """What the script raised, and where in it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == place]
    where = f"{place}:{own[-1].lineno}" if own else place
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    said = f": {error}" if str(error) else ""
    return click.ClickException(f"{where} can't be imported: {type(error).__name__}{said}.")


def _offer(module: ModuleType) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and isinstance(value, FunctionType | Job)
        and getattr(value, "__module__", "") == module.__name__
    ]
    return f"it has {', '.join(sorted(names))}" if names else "it has no functions"
