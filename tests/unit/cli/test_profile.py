"""The profile in the AWS files: ours is replaced, everything else stays as its owner wrote it."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import pytest

from tidemill.cli import profile
from tidemill.cli.profile import replaced

SECTION = "[profile tidemill]\nregion = us-east-1\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", SECTION),
        ("[default]\nregion = a\n", "[default]\nregion = a\n\n" + SECTION),
        ("[default]\nregion = a", "[default]\nregion = a\n\n" + SECTION),
        ("# mine\n\n", "# mine\n\n" + SECTION),
        (SECTION, SECTION),
        ("[profile tidemill]\nold = 1\nolder = 2\n", SECTION),
        ("[profile tidemill]\nold = 1\n[x]\na = b\n", SECTION + "\n[x]\na = b\n"),
        ("[x]\na = b\n[profile tidemill]\nold = 1\n", "[x]\na = b\n" + SECTION),
        ("[ profile tidemill ]\nold = 1\n", SECTION),
        ("[profile tidemill2]\na = b\n", "[profile tidemill2]\na = b\n\n" + SECTION),
    ],
)
def test_our_section_is_replaced(before: str, after: str) -> None:
    assert replaced(before, "profile tidemill", SECTION) == after


def test_what_is_not_ours_survives() -> None:
    mine = (
        "# at the top\n[default]\n; a comment\nregion=eu-west-1   \n\n"
        "s3 =\n  addressing_style = path\n[profile tidemill]\nold = 1\n# of the old section\n"
        "[profile other]\r\nrole_arn = a:b\r\n\n# at the end"
    )
    once = replaced(mine, "profile tidemill", SECTION)
    for line in mine.splitlines(keepends=True):
        if line not in ("[profile tidemill]\n", "old = 1\n", "# of the old section\n"):
            assert line in once
    assert once.index("[default]") < once.index("[profile tidemill]") < once.index("other")
    assert replaced(once, "profile tidemill", SECTION) == once, "a second time changes nothing"


def test_both_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, credentials = tmp_path / "a" / "config", tmp_path / "a" / "credentials"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    assert profile.write("http://127.0.0.1:5057", "us-east-1", "AKIA", "s%c=r#t") == [
        config,
        credentials,
    ]
    read = configparser.RawConfigParser()
    read.read([config, credentials])
    assert read["profile tidemill"]["endpoint_url"] == "http://127.0.0.1:5057"
    assert read["tidemill"]["aws_secret_access_key"] == "s%c=r#t"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["config", "credentials"]


def test_a_files_mode_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\n")
    config.chmod(0o640)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    profile.write("http://127.0.0.1:5057", "us-east-1", "AKIA", "secret")
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert config.read_text().startswith("[default]\n")


def test_a_linked_file_stays_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People keep these files in a repository of their own and link to them."""
    kept = tmp_path / "dotfiles"
    kept.write_text("[default]\n")
    (tmp_path / "config").symlink_to(kept)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    profile.write("http://127.0.0.1:5057", "us-east-1", "AKIA", "secret")
    assert (tmp_path / "config").is_symlink()
    assert "tidemill" in kept.read_text()
