"""The `tidemill` command. Each subcommand's module is imported when it is called, so that
`tidemill --help` and completion stay quick."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

COMMANDS: Final = {
    "serve": "tidemill.cli.serve",
    "stop": "tidemill.cli.serve",
    "config": "tidemill.cli.serve",
    "backup": "tidemill.cli.serve",
    "demo": "tidemill.cli.demo",
    "submit": "tidemill.cli.submit",
    "ps": "tidemill.cli.view",
    "show": "tidemill.cli.view",
    "why": "tidemill.cli.view",
    "logs": "tidemill.cli.logs",
    "wait": "tidemill.cli.wait",
    "cancel": "tidemill.cli.end",
    "kill": "tidemill.cli.end",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module that holds `cmd_name`; the command has the module's same name."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tidemill")
def group() -> None:
    """Run the background work of web applications, spoken to through AWS's own APIs."""


def main() -> None:
    """Entry point: every error that a person can meet is one sentence, no traceback."""
    from tidemill.cli.failure import sentence

    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except Exception as error:
        told = sentence(error)
        if told is None:
            raise
        click.echo(f"Error: {told}", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
