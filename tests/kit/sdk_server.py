"""A private server for tests of the library, with the folder of their jobs as the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidemill.sdk.local import LocalServer, local

PROJECT = Path(__file__).parents[1] / "acceptance" / "sdk_project"


@contextmanager
def project_server(*arguments: str) -> Iterator[LocalServer]:
    """The library uses it inside the block, from the project's folder; its modules are found."""
    with local(*arguments) as server:
        before = Path.cwd()
        os.chdir(PROJECT)
        sys.path.insert(0, str(PROJECT))
        try:
            yield server
        finally:
            sys.path.remove(str(PROJECT))
            os.chdir(before)
