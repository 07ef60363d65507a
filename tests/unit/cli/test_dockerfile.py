"""The Dockerfile that `tidemill build` writes: whole, cached by layers, and never root."""

from __future__ import annotations

import re
import shlex

import pytest

from tidemill.cli.build import requirement_of
from tidemill.cli.dockerfile import Layout, dockerfile, ignore, is_ours

INSTRUCTIONS = {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER"}
PLAIN = Layout(python="3.12", tidemill="tidemill==1.0")
LAYOUTS = [
    PLAIN,
    Layout(python="3.12", tidemill=".tidemill/tidemill-1.0-py3-none-any.whl", requirements=True),
    Layout(python="3.12", tidemill="tidemill==1.0", dependencies=True, package=True),
    Layout(python="3.12", tidemill="tidemill==1.0", package=True),
    Layout(python="3.12", tidemill="tidemill==1.0", requirements=True, source=True),
]


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_made_of_instructions_that_parse(layout: Layout) -> None:
    found = instructions(dockerfile(layout))
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert all(shlex.split(arguments) for _, arguments in found)
    assert found[0] == ("FROM", "python:3.12-slim")
    assert found[-1] == ("USER", "tidemill")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_changes_often_comes_last(layout: Layout) -> None:
    found = instructions(dockerfile(layout))
    everything = found.index(("COPY", ". ."))
    installs = [place for place, (_, said) in enumerate(found) if "pip install" in said]
    own = {place for place in installs if found[place][1].endswith(" .")}
    assert all(place < everything for place in installs if place not in own)
    assert bool(own) == layout.package


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (LAYOUTS[0], "RUN pip install 'tidemill==1.0'"),
        (LAYOUTS[1], "COPY .tidemill/tidemill-1.0-py3-none-any.whl /tmp/tidemill-1.0-py3-none-any"),
        (LAYOUTS[1], "RUN pip install -r requirements.txt"),
        (LAYOUTS[2], "COPY pyproject.toml ./"),
        (LAYOUTS[2], "RUN pip install --no-deps ."),
        (LAYOUTS[3], "RUN pip install ."),
        (LAYOUTS[4], "PYTHONPATH=/app/src"),
    ],
)
def test_it_installs_what_the_project_has(layout: Layout, said: str) -> None:
    assert said in dockerfile(layout)


def test_a_change_by_hand_is_seen() -> None:
    text = dockerfile(PLAIN)
    assert is_ours(text)
    assert not is_ours(text.replace("slim", "bookworm"))
    assert not is_ours("FROM python:3.12\n")


def test_secrets_and_virtual_environments_stay_out() -> None:
    assert {"**/.env", ".git", ".venv"} <= set(ignore([".venv"]).splitlines())


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        ({}, "tidemill==1.0"),
        (
            {"url": "https://host/t.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "tidemill @ git+https://host/t.git@abc",
        ),
        ({"url": "https://host/t.whl", "archive_info": {}}, "tidemill @ https://host/t.whl"),
        ({"url": "file:///home/me/tidemill", "dir_info": {"editable": True}}, None),
    ],
)
def test_the_image_has_the_tidemill_that_runs_now(
    origin: dict[str, object], requirement: str | None
) -> None:
    assert requirement_of(origin, "1.0") == requirement
