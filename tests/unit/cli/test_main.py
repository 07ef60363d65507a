"""What `tidemill --help` lists is what there is, and each command says what it is for."""

from __future__ import annotations

import importlib

import click
import pytest
from click.testing import CliRunner

from tidemill.cli.main import COMMANDS, SECTIONS, group


def test_every_command_is_listed_under_its_heading() -> None:
    told = CliRunner().invoke(group, ["--help"]).output
    for title, commands in SECTIONS.items():
        after = told.partition(f"{title}:\n")[2]
        for name, (_, summary) in commands.items():
            assert after.index(f"  {name} ") < after.index(summary[:20])
    assert all(len(line) <= 80 for line in told.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help, "a command says what it is for"
    told = CliRunner().invoke(group, [name, "--help"])
    assert told.exit_code == 0
    assert all(len(line) <= 80 for line in told.output.splitlines())


def test_an_option_that_takes_a_value_says_what_it_is() -> None:
    silent = []
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        for option in command.params:
            is_told = not isinstance(option, click.Option) or option.hidden or option.help
            if not is_told:
                silent.append(f"{name} {option.opts[0]}")
    assert not silent


def test_modules_are_there() -> None:
    for module, _ in COMMANDS.values():
        importlib.import_module(module)
