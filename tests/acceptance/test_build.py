"""`tidemill build` as a user meets it; what it writes fits the project that it stands in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import clean_environment, run, sentence

PYPROJECT = """
[project]
name = "shop"
dependencies = ["requests>=2", "boto3"]

[tool.tidemill.profiles.aws]
image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/shop:7"
aws_profile = "work"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    return tmp_path


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `tidemill build` did; the Tidemill of these tests is on no index."""
    command = ("build", "--tidemill", "tidemill==0.1.0", *arguments)
    return run(*command, environment=clean_environment(folder / "home"), cwd=folder)


def test_it_writes_both_files_and_says_what_to_type(folder: Path) -> None:
    done = build(folder, "--profile", "aws")
    assert done.returncode == 0, done.stderr
    host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    region = "--region eu-central-1"
    create, login, built, pushed = done.stdout.splitlines()
    assert create.startswith(f"aws --profile work ecr create-repository {region} ")
    assert "--repository-name team/shop" in create
    assert login.startswith(f"aws --profile work ecr get-login-password {region} | docker login ")
    assert login.endswith(host)
    assert built == f"docker build --platform linux/amd64 -t {host}/team/shop:7 {folder}"
    assert pushed == f"docker push {host}/team/shop:7"
    assert ".venv" in (folder / ".dockerignore").read_text().splitlines()


def test_every_path_that_it_copies_is_there_and_its_script_works(folder: Path) -> None:
    build(folder)
    text = (folder / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+)", text, re.MULTILINE)
    assert copied == ["pyproject.toml", "."]
    assert all((folder / name).exists() for name in copied)
    [script] = re.findall(r'RUN python -c "([^"]+)"', text)
    listed = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["requests>=2", "boto3"]


def test_what_somebody_changed_is_kept(folder: Path) -> None:
    build(folder)
    path, ignored = folder / "Dockerfile", folder / ".dockerignore"
    assert build(folder).returncode == 0
    ours = path.read_text()
    path.write_text(ours + "RUN apt-get install -y git\n")
    ignored.write_text("mine\n")
    assert "--force overwrites it" in sentence(build(folder))
    assert path.read_text() != ours
    assert build(folder, "--force").returncode == 0
    assert path.read_text() == ours
    assert ignored.read_text() == "mine\n"


def test_without_an_image_it_says_where_to_name_one(folder: Path) -> None:
    done = build(folder)
    assert "name one as `image` in [tool.tidemill.profiles.aws]" in done.stderr
    assert done.stdout == f"docker build -t {folder.name.lower()} {folder}\n"
