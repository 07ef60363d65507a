"""The profile `tidemill` in the AWS config: how boto3, the aws CLI and everything else find us.

The files are the user's own: only our one section is replaced, every other line stays as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PROFILE = "tidemill"
_HEADER = re.compile(r"^\s*\[(?P<name>[^\]]*)\]")


def config_path() -> Path:
    """The AWS config file, where `AWS_CONFIG_FILE` or AWS's own rule puts it."""
    return Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()


def credentials_path() -> Path:
    """The AWS credentials file, likewise."""
    chosen = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    return Path(chosen or "~/.aws/credentials").expanduser()


def write(endpoint: str, region: str, access_key_id: str, secret_access_key: str) -> list[Path]:
    """Store the profile; returns the files that were written."""
    config, credentials = config_path(), credentials_path()
    settings = {"region": region, "endpoint_url": endpoint}
    keys = {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key}
    _replace_section(config, f"profile {PROFILE}", settings)
    _replace_section(credentials, PROFILE, keys)
    return [config, credentials]


def _replace_section(path: Path, name: str, settings: dict[str, str]) -> None:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        text = ""
    section = f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    path = path.resolve()  # where it is a link, the file behind it is replaced
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staged = path.with_name(path.name + ".tidemill")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _mode(path))
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(replaced(text, name, section))
    staged.replace(path)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777 if path.exists() else 0o600


def replaced(text: str, name: str, section: str) -> str:
    """`text` with the section called `name` replaced by `section`, or with it at the end."""
    kept: list[str] = []
    place: int | None = None
    inside = False
    for line in text.splitlines(keepends=True):
        header = _HEADER.match(line)
        if header:
            inside = header["name"].strip() == name
            if inside and place is None:
                place = len(kept)
        if not inside:
            kept.append(line)
    if place is None:
        if kept and kept[-1].strip():
            kept.append("\n" if kept[-1].endswith("\n") else "\n\n")
        place = len(kept)
    else:
        section += "\n" if place < len(kept) else ""
    return "".join([*kept[:place], section, *kept[place:]])
