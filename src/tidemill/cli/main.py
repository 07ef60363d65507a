"""The `tidemill` command. Each subcommand's module is imported when it is called, so that
`tidemill --help` and completion stay quick."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click
from click.shell_completion import CompletionItem

SECTIONS: Final = {
    "A server": {
        "serve": ("tidemill.cli.serve", "Serve until stopped."),
        "stop": ("tidemill.cli.serve", "Stop the server; its jobs go on."),
        "config": ("tidemill.cli.serve", "Print what clients need to reach the server."),
        "backup": ("tidemill.cli.serve", "Copy everything while the server runs."),
        "demo": ("tidemill.cli.demo", "Watch a real batch of work run."),
    },
    "Start work": {
        "submit": ("tidemill.cli.submit", "Submit any command as a job."),
        "run": ("tidemill.cli.run", "Call a Python function as a job; print its result."),
        "map": ("tidemill.cli.map", "Run a function over the rows of a CSV or JSON Lines file."),
        "results": ("tidemill.cli.map", "Print or write what came of a run or a map."),
    },
    "See how it goes": {
        "ps": ("tidemill.cli.view", "List the jobs that are under way, or all."),
        "show": ("tidemill.cli.view", "Show one job whole."),
        "why": ("tidemill.cli.why", "Say what a job waits for, or why it ended."),
        "logs": ("tidemill.cli.logs", "Print what a job prints."),
        "queues": ("tidemill.cli.queues", "List the queues: what runs, what waits, since when."),
        "tenants": ("tidemill.cli.queues", "List the tenants that share queues, and their use."),
        "top": ("tidemill.cli.top", "Watch queues, jobs, rates and tenants on a live screen."),
        "wait": ("tidemill.cli.wait", "Wait until jobs have ended; exit as they did."),
    },
    "Change how it goes": {
        "cancel": ("tidemill.cli.end", "End jobs that have not started."),
        "kill": ("tidemill.cli.end", "End jobs, those that run too."),
        "retry": ("tidemill.cli.retry", "Run again what failed."),
    },
    "Elsewhere": {
        "build": ("tidemill.cli.build", "Write a Dockerfile for the project."),
        "doctor": ("tidemill.cli.doctor", "Say what is missing before jobs can run."),
    },
    "This command": {
        "completion": ("tidemill.cli.completion", "Have your shell complete commands and ids."),
    },
}
"""What `tidemill --help` lists, in the order in which a newcomer needs it: the module of each
command, which has the command under its own name, and what it does."""

COMMANDS: Final = {name: home for section in SECTIONS.values() for name, home in section.items()}
INTERRUPTED: Final = 130
"""The exit code of a command that Ctrl-C has ended, as shells have it."""


NO_CLIENTS: Final = {*SECTIONS["A server"], *SECTIONS["This command"]}
"""Commands that reach no server by AWS's APIs, so that no profile means anything to them."""


def _choose_profile(ctx: click.Context, param: click.Parameter, name: str | None) -> None:  # noqa: ARG001 - click's signature
    if name:
        from tidemill.sdk import project

        project.choose(name)


PROFILE_OPTION: Final = click.Option(
    ["--profile"],
    metavar="NAME",
    expose_value=False,
    is_eager=True,
    callback=_choose_profile,
    help="Go by [tool.tidemill.profiles.NAME] of pyproject.toml; else by $TIDEMILL_PROFILE.",
)
"""Taken before the command's name and after it."""


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module that holds `cmd_name`; the command has the module's same name."""
        home = COMMANDS.get(cmd_name)
        if home is None:
            return None
        command: click.Command = getattr(importlib.import_module(home[0]), cmd_name)
        if cmd_name not in NO_CLIENTS and PROFILE_OPTION not in command.params:
            command.params.append(PROFILE_OPTION)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by what they are for, without importing any."""
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                rows = [(name.ljust(width), told) for name, (_, told) in commands.items()]
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, without importing any command."""
        found = [
            CompletionItem(name, help=told)
            for name, (_, told) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found or click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[PROFILE_OPTION],
    epilog="`tidemill COMMAND --help` says more of each.",
)
@click.version_option(package_name="tidemill")
def group() -> None:
    """Run the background work of web applications, spoken to through AWS's own APIs."""


def main() -> None:
    """Entry point: every error that a person can meet is one sentence, no traceback."""
    # https://no-color.org: any value that is not empty asks for none.
    colour = False if os.environ.get("NO_COLOR") else None
    try:
        code = group.main(prog_name="tidemill", standalone_mode=False, color=colour)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:  # `tidemill ps | head`: who read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        from tidemill.cli.failure import sentence

        told = sentence(error)
        if told is None:
            raise
        click.echo(f"Error: {told}", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
