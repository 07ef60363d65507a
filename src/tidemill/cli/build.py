"""`tidemill build`: the Dockerfile by which a project's jobs run in containers and on AWS."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click

from tidemill.cli import dockerfile
from tidemill.cli.dockerfile import Layout

WHEEL_S: Final = 300


@click.command(short_help="Write a Dockerfile for the project.")
@click.option("--force", is_flag=True, help="Overwrite a Dockerfile that somebody has changed.")
@click.option(
    "--tidemill",
    "requirement",
    metavar="REQUIREMENT",
    help="What pip installs as Tidemill, or a wheel in the project; by default, what runs now.",
)
def build(force: bool, requirement: str | None) -> None:
    """Write a Dockerfile for the project, and a .dockerignore if there is none.

    Then print what to type next, with the image that the profile names. Docker itself isn't
    called.
    """
    from tidemill.sdk import project

    place = project.current()
    file = project.find(Path.cwd())
    folder = file.parent if file is not None else Path.cwd()
    content = tomllib.loads(file.read_text("utf-8")) if file is not None else {}
    path = folder / "Dockerfile"
    if path.exists() and not force and not dockerfile.is_ours(path.read_text("utf-8")):
        raise click.ClickException(
            f"{path} has been written or changed by somebody; --force overwrites it."
        )
    layout = layout_of(folder, content, requirement or _tidemill(folder))
    path.write_text(dockerfile.dockerfile(layout), "utf-8")
    click.echo(f"Wrote {path}.", err=True)
    ignore = folder / ".dockerignore"
    if not ignore.exists():
        ignore.write_text(dockerfile.ignore(virtual_environments(folder)), "utf-8")
        click.echo(f"Wrote {ignore}.", err=True)
    if place.image is None:
        click.echo(
            "No image is named; name one as `image` in [tool.tidemill.profiles.aws], and run this "
            "again with --profile aws to see how to push it.",
            err=True,
        )
    for command in commands(place, folder):
        click.echo(command)


def layout_of(folder: Path, content: dict[str, Any], tidemill: str) -> Layout:
    """What matters of a project's folder; `content` is its `pyproject.toml`'s."""
    about = content.get("project", {})
    package = "build-system" in content and "name" in about
    return Layout(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        tidemill=tidemill,
        requirements=(folder / "requirements.txt").is_file(),
        dependencies=bool(about.get("dependencies")),
        package=package,
        source=(folder / "src").is_dir() and not package,
    )


def virtual_environments(folder: Path) -> list[str]:
    """The virtual environments in the project's folder, by name."""
    return sorted(entry.parent.name for entry in folder.glob("*/pyvenv.cfg"))


def commands(place: Any, folder: Path) -> list[str]:
    """What to type next to have the image built and where AWS finds it."""
    from tidemill.cli.examine_image import ECR

    if place.image is None:
        return [f"docker build -t {folder.name.lower()} {folder}"]
    made = f"docker build --platform linux/amd64 -t {place.image} {folder}"
    push = f"docker push {place.image}"
    ecr = ECR.fullmatch(place.image)
    if ecr is None:
        return [made, push]
    aws = "aws" + (f" --profile {place.aws_profile}" if place.aws_profile else "")
    region = f"--region {ecr['region']}"
    login = f"docker login --username AWS --password-stdin {place.image.partition('/')[0]}"
    return [
        f"{aws} ecr create-repository {region} --repository-name {ecr['name']}  # once",
        f"{aws} ecr get-login-password {region} | {login}",
        made,
        push,
    ]


def _tidemill(folder: Path) -> str:
    """The Tidemill that runs now, as pip can install it elsewhere."""
    installed = importlib.metadata.distribution("tidemill")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    return requirement_of(origin, installed.version) or _wheel(folder, origin["url"])


def requirement_of(origin: dict[str, Any], version: str) -> str | None:
    """What to ask pip for; None where Tidemill was installed from a folder, which no image has.

    Source: the Python packaging specification "Recording the Direct URL Origin".
    """
    url = origin.get("url", "")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"tidemill @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    if urlsplit(url).scheme == "file":
        return None
    return f"tidemill @ {url}" if url else f"tidemill=={version}"


def _wheel(folder: Path, url: str) -> str:
    """Build the wheel of the folder or file at `url` into the project; its path in there."""
    source = unquote(urlsplit(url).path)
    wheels = folder / dockerfile.WHEELS
    for old in wheels.glob("tidemill-*.whl"):
        old.unlink()
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    try:
        done = subprocess.run(
            [*pip, "--wheel-dir", str(wheels), source],
            capture_output=True,
            text=True,
            timeout=WHEEL_S,
        )
    except subprocess.TimeoutExpired:
        raise click.ClickException(_no_wheel(source, f"not within {WHEEL_S} s")) from None
    found = sorted(wheels.glob("tidemill-*.whl"))
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise click.ClickException(_no_wheel(source, last))
    return f"{dockerfile.WHEELS}/{found[0].name}"


def _no_wheel(source: str, why: str) -> str:
    return (
        f"Tidemill runs from {source}, which an image does not have, and its wheel could not be "
        f"built ({why.rstrip('.')}); name what pip is to install instead with --tidemill."
    )
