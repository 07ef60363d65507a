"""SQL lives in files: statements by name, migrations by number."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from tidemill.platform.store import Migration

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def statements(package: str, file: str) -> dict[str, str]:
    """The statements of a `.sql` file in `package`, by the name on the line above each.

    A statement begins after a line `-- name: insert_job` and ends at the next such line.
    """
    parts = _NAME.split((_folder(package) / file).read_text("utf-8"))
    return {
        name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def migrations(package: str, component: str) -> list[Migration]:
    """The migrations in `package`: files `0001_sqlite.sql` and `0001_postgres.sql`, and so on."""
    folder = _folder(package)
    numbers = sorted(
        int(entry.name.split("_")[0])
        for entry in folder.iterdir()
        if entry.name.endswith("_sqlite.sql")
    )
    assert numbers == list(range(1, len(numbers) + 1)), f"{package}: migrations have a gap"
    return [
        Migration(
            component=component,
            number=number,
            sqlite=folder.joinpath(f"{number:04}_sqlite.sql").read_text("utf-8"),
            postgres=folder.joinpath(f"{number:04}_postgres.sql").read_text("utf-8"),
        )
        for number in numbers
    ]


def _folder(package: str) -> Path:
    """Where the package lies. `importlib.resources` would ask the same, and cost the start more."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is no package"
    return Path(spec.submodule_search_locations[0])
