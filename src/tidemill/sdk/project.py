"""Where jobs run and where their code lies: this project on this machine, or an image elsewhere.

On this machine a job runs in the submitter's directory, with its interpreter and its paths. For
containers `[tool.tidemill]` in `pyproject.toml` names the image, which brings its own. What differs
from place to place stands in `[tool.tidemill.profiles.NAME]`, and goes before the table's own.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tidemill.sdk.error import SubmitError

DIRECTORY_VARIABLE: Final = "TIDEMILL_DIRECTORY"
PROFILE_VARIABLE: Final = "TIDEMILL_PROFILE"
HOST_IMAGE: Final = "python"
PLATFORMS: Final = ("EC2", "FARGATE")
_INHERITED: Final = ("PATH", "VIRTUAL_ENV", "LANG", "LC_ALL", "TZ")
_PROFILES: Final = "profiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`[tool.tidemill]` of the nearest `pyproject.toml`, with one of its profiles where one was
    chosen; without a file, the defaults.
    """

    image: str | None = None
    python: str = "python3"
    """The interpreter inside `image`."""
    queue: str = "default"
    bucket: str | None = None
    job_role: str | None = None
    execution_role: str | None = None
    platform: str = "EC2"
    """What AWS runs containers on: `EC2`, or `FARGATE`."""
    public_ip: bool = False
    """Whether a Fargate job has one; in a public subnet it can't fetch its image without."""
    aws_profile: str | None = None
    """The profile of AWS's own config files whose keys, region and endpoint are used."""
    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    """The name of the profile that was chosen; never in the file itself."""

    @property
    def interpreter(self) -> str:
        """The interpreter that a job's command names."""
        return self.python if self.image else sys.executable

    @property
    def names_a_server(self) -> bool:
        """Whether it says itself where to find a server, or AWS."""
        return bool(self.aws_profile or self.region or self.endpoint)

    def reference(self, reference: str) -> str:
        """A function's reference as it holds where the job runs: scripts lie elsewhere in images.

        An image has the project in the folder that jobs start in, as `tidemill build` makes it.
        """
        if not self.image or not reference.startswith("/"):
            return reference
        file = find(Path.cwd())
        folder = Path.cwd() if file is None else file.parent
        path, _, name = reference.rpartition(":")
        if not Path(path).is_relative_to(folder.resolve()):
            raise SubmitError(
                f"{path} lies outside of the project {folder}, so the image {self.image} does not "
                f"have it; move the function into the project."
            )
        return f"{Path(path).relative_to(folder.resolve())}:{name}"

    def environment(self) -> dict[str, str]:
        """What a job needs to find the project, and to submit jobs by the same profile."""
        chosen = {PROFILE_VARIABLE: self.profile} if self.profile else {}
        if self.image:
            # Containers on EC2 are told no region, and no client of Batch is made without.
            return chosen | ({"AWS_DEFAULT_REGION": self.region} if self.region else {})
        inherited = {name: os.environ[name] for name in _INHERITED if os.environ.get(name)}
        folder = str(Path.cwd())
        paths = os.pathsep.join(_project_paths(tuple(sys.path), folder))
        own = {DIRECTORY_VARIABLE: folder}
        return inherited | own | chosen | ({"PYTHONPATH": paths} if paths else {})


_chosen: str | None = None


def choose(profile: str | None) -> str | None:
    """Go by this profile from now on; None leaves it to `$TIDEMILL_PROFILE`. Gives the former."""
    global _chosen
    before, _chosen = _chosen, profile
    return before


def chosen() -> str | None:
    """The name of the profile to go by, or None for the table's own settings."""
    return _chosen or os.environ.get(PROFILE_VARIABLE) or None


def current() -> Project:
    """The project of the current directory; `SubmitError` says what is wrong in its file."""
    return read(find(Path.cwd()), chosen())


def find(folder: Path) -> Path | None:
    """The `pyproject.toml` of this folder, or of the nearest one above it."""
    for place in (folder, *folder.parents):
        if (place / "pyproject.toml").is_file():
            return place / "pyproject.toml"
    return None


def read(path: Path | None, profile: str | None) -> Project:
    """The settings in the file `path`, by one of its profiles."""
    if path is None and profile is not None:
        raise SubmitError(
            f"The profile {profile!r} is nowhere: there is no pyproject.toml in {Path.cwd()} or "
            f"above it to hold [tool.tidemill.profiles.{profile}]."
        )
    # The time of the last change is part of the question: an edited file is read again.
    return Project() if path is None else _read(path, path.stat().st_mtime_ns, profile)


@lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int, profile: str | None) -> Project:  # noqa: ARG001 - see read
    import tomllib

    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SubmitError(f"{path} can't be read: {error}.") from error
    table = dict(content.get("tool", {}).get("tidemill", {}))
    profiles = _table(_PROFILES, table.pop(_PROFILES, {}), path)
    own = _checked("", table, path)
    settings = {
        name: _checked(f"{_PROFILES}.{name}", each, path) for name, each in profiles.items()
    }
    if profile is None:
        return Project(**own)
    if profile not in settings:
        told = f"has {_listed(settings)}" if settings else "has no profiles"
        raise SubmitError(
            f"There is no [tool.tidemill.profiles.{profile}] in {path}, which {told}"
            f"{_nearest(profile, settings)}."
        )
    return Project(**own | settings[profile], profile=profile)


_KEYS: Final[Mapping[str, type]] = {
    name: bool if name == "public_ip" else str
    for name in Project.__dataclass_fields__
    if name != "profile"
}


def _checked(name: str, table: Any, path: Path) -> dict[str, Any]:
    """The settings of one table, by Python's names; what can't be meant is refused."""
    place = _heading(name)
    settings = {key.replace("-", "_"): value for key, value in _table(name, table, path).items()}
    for key, value in settings.items():
        if key not in _KEYS:
            others = _KEYS if name else (*_KEYS, _PROFILES)
            raise SubmitError(
                f"{place} in {path} knows no {key!r}{_nearest(key, others)}; it takes "
                f"{_listed(others)}."
            )
        if not isinstance(value, _KEYS[key]):
            wanted = "true or false" if _KEYS[key] is bool else "a string"
            raise SubmitError(f"{place} {key} in {path} must be {wanted}.")
    if "platform" in settings:
        settings["platform"] = settings["platform"].upper()
        if settings["platform"] not in PLATFORMS:
            raise SubmitError(f"{place} platform in {path} must be {_listed(PLATFORMS, 'or')}.")
    return settings


def _table(name: str, value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SubmitError(f"{_heading(name)} in {path} must be a table, not {value!r}.")
    return value


def _heading(name: str) -> str:
    return f"[tool.tidemill.{name}]" if name else "[tool.tidemill]"


def _nearest(word: str, words: Any) -> str:
    import difflib

    near = difflib.get_close_matches(word, list(words), 1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _listed(words: Any, last: str = "and") -> str:
    *before, end = words
    return f"{', '.join(before)} {last} {end}" if before else str(end)


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
