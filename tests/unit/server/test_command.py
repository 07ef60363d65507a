"""`python -m tidemill.server`: the options of `tidemill serve`, read without its parser."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from tidemill.cli.serve import serve
from tidemill.server.__main__ import _OPTIONS, Life, read
from tidemill.server.config import ServerConfig, StartError


def test_options_are_read_as_the_command_line_does() -> None:
    config, life = read(
        ["--port", "0", "--limits=lifted", "--keep", "2.5", "--data", "there", "--life-fd", "7"]
    )
    assert config == ServerConfig(
        port=0, limits="lifted", keep_days=2.5, data=Path("there").absolute()
    )
    assert (life.fd, life.ready_fd) == (7, None)


def test_it_knows_every_option_of_the_command() -> None:
    named = {
        name for option in serve.params if isinstance(option, click.Option) for name in option.opts
    }
    assert named <= _OPTIONS.keys()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--limit", "aws"], "--limit is no option"),
        (["serve"], "serve is no option"),
        (["--port", "many"], "--port can't be 'many'"),
        (["--auth=some"], "--auth can't be 'some'"),
        (["--port"], "--port can't be ''"),
    ],
)
def test_what_is_no_option_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(StartError, match=words):
        read(arguments)


@pytest.mark.parametrize(("said", "is_left"), [("end", True), (None, True), ("", False)])
def test_the_folder_goes_with_a_program_that_has_died(
    said: str | None, is_left: bool, tmp_path: Path
) -> None:
    """`said` is the last that its pipe gives; None while it is open and has said nothing."""
    reading, writing = os.pipe()
    if said is not None:
        os.write(writing, said.encode())
        os.close(writing)
    folder = tmp_path / "folder"
    (folder / "data").mkdir(parents=True)
    Life(None, reading, folder).tidy()
    assert folder.exists() is is_left
    os.close(reading)
    if said is None:
        os.close(writing)
