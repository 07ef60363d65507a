"""Where the code of a job lies: this project on this machine, or a container image on AWS.

On this machine a job runs in the submitter's directory, with its interpreter and its paths. For
containers `[tool.tidemill]` in `pyproject.toml` names the image, which brings its own.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tidemill.sdk.error import SubmitError

DIRECTORY_VARIABLE: Final = "TIDEMILL_DIRECTORY"
HOST_IMAGE: Final = "python"
_INHERITED: Final = ("PATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`[tool.tidemill]` of the nearest `pyproject.toml`; without one, the defaults."""

    image: str | None = None
    python: str = "python3"
    """The interpreter inside `image`."""
    queue: str = "default"
    bucket: str | None = None
    job_role: str | None = None
    execution_role: str | None = None

    @property
    def interpreter(self) -> str:
        """The interpreter that a job's command names."""
        return self.python if self.image else sys.executable

    def environment(self) -> dict[str, str]:
        """What a job on this machine needs to find the project; nothing in a container."""
        if self.image:
            return {}
        inherited = {name: os.environ[name] for name in _INHERITED if os.environ.get(name)}
        folder = str(Path.cwd())
        paths = os.pathsep.join(_project_paths(tuple(sys.path), folder))
        own = {DIRECTORY_VARIABLE: folder}
        return inherited | own | ({"PYTHONPATH": paths} if paths else {})


def current() -> Project:
    """The project of the current directory."""
    return _read(_find(Path.cwd()))


def _find(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        if (place / "pyproject.toml").is_file():
            return place / "pyproject.toml"
    return None


@lru_cache(maxsize=16)
def _read(path: Path | None) -> Project:
    if path is None:
        return Project()
    import tomllib

    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SubmitError(f"{path} can't be read: {error}.") from error
    return _of_table(path, content.get("tool", {}).get("tidemill", {}))


def _of_table(path: Path, table: dict[str, Any]) -> Project:
    settings = {key.replace("-", "_"): value for key, value in table.items()}
    known = Project.__dataclass_fields__
    for name, value in settings.items():
        if name in known and not isinstance(value, str):
            raise SubmitError(f"[tool.tidemill] {name} in {path} must be a string.")
    return Project(**{name: value for name, value in settings.items() if name in known})


@lru_cache(maxsize=16)
def _project_paths(paths: tuple[str, ...], folder: str) -> list[str]:
    """`sys.path` without the interpreter's own folders, absolute."""
    own = {os.path.realpath(path) for path in sysconfig.get_paths().values()}
    own |= {os.path.realpath(path) for path in _interpreter_paths()}
    absolute = dict.fromkeys(str(Path(folder, path)) for path in paths)
    return [path for path in absolute if os.path.realpath(path) not in own]


def _interpreter_paths() -> list[str]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    version = f"python{sys.version_info.major}{sys.version_info.minor}"
    return [str(stdlib / "lib-dynload"), str(stdlib.parent / f"{version}.zip")]
