"""The text of a project's Dockerfile: the layers that change seldom first, and no root in it.

A job's command names the interpreter, so the image needs no entry point. Its Python has the
submitter's version, as pickled values do not always go from one to another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FOLDER: Final = "/app"
WHEELS: Final = ".tidemill"
"""Where a wheel of Tidemill is put that no index has."""
_MARK: Final = "# tidemill build: "

IGNORED: Final = (
    *(".git", "**/.env", "**/.env.*", "**/.aws", "**/*.pem", "**/*.key"),
    *("**/__pycache__", "**/*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *("node_modules", "dist", "build", "*.egg-info"),
    *("Dockerfile", ".dockerignore"),
)
"""What an image has no use for, secrets above all."""

_DEPENDENCIES: Final = (
    "import tomllib; "
    "print(*tomllib.load(open('pyproject.toml', 'rb'))['project'].get('dependencies', []), "
    "sep=chr(10))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the project's folder has, as far as its image is concerned."""

    python: str
    """The version, as `3.12`."""
    tidemill: str
    """What pip is to install as Tidemill: a requirement, or a wheel's path in the project."""
    requirements: bool = False
    """Whether there is a `requirements.txt`."""
    dependencies: bool = False
    """Whether `pyproject.toml` lists the dependencies itself."""
    package: bool = False
    """Whether `pyproject.toml` says how to build the project."""
    source: bool = False
    """Whether the code lies below `src` without being built."""


def dockerfile(layout: Layout) -> str:
    """The Dockerfile, with a mark by which `is_ours` knows it again."""
    parts = [
        [f"FROM python:{layout.python}-slim"],
        [
            "ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1"
            + (f" PYTHONPATH={FOLDER}/src" if layout.source else ""),
            f"RUN useradd --create-home --uid 10001 tidemill && install -d -o tidemill {FOLDER}",
            f"WORKDIR {FOLDER}",
        ],
        ["# Changes seldom, so these layers are kept from build to build.", *_tidemill(layout)],
        [*_dependencies(layout)],
        ["# Changes often.", "COPY . .", *_package(layout)],
        ["USER tidemill"],
    ]
    body = "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"
    return f"{_MARK}{_digest(body)}\n{body}"


def _tidemill(layout: Layout) -> list[str]:
    if layout.tidemill.endswith(".whl"):
        name = layout.tidemill.rpartition("/")[2]
        return [
            f"COPY {layout.tidemill} /tmp/{name}",
            f"RUN pip install /tmp/{name}",
        ]
    return [f"RUN pip install '{layout.tidemill}'"]


def _dependencies(layout: Layout) -> list[str]:
    if layout.requirements:
        return ["COPY requirements.txt ./", "RUN pip install -r requirements.txt"]
    if layout.dependencies:
        return [
            "COPY pyproject.toml ./",
            f'RUN python -c "{_DEPENDENCIES}" > /tmp/requirements.txt \\',
            "    && pip install -r /tmp/requirements.txt",
        ]
    return []


def _package(layout: Layout) -> list[str]:
    if not layout.package:
        return []
    apart = layout.requirements or layout.dependencies
    return [f"RUN pip install {'--no-deps ' if apart else ''}."]


def ignore(virtual_environments: Sequence[str]) -> str:
    """The `.dockerignore`."""
    return "\n".join([*IGNORED, *virtual_environments]) + "\n"


def is_ours(text: str) -> bool:
    """Whether `dockerfile` wrote this text, and nobody has changed it since."""
    head, _, body = text.partition("\n")
    return head == _MARK + _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
