"""`tidemill serve`, `stop`, `config` and `backup`: the server's own life."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

import click

from tidemill.cli.output import JSON_OPTION, print_json

STOP_S = 60.0
DATA_OPTION = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder; by default $TIDEMILL_DATA, or tidemill in the user's data folder.",
)


@click.command(short_help="Serve until stopped.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=5057,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option(
    "--advertise",
    metavar="URL",
    help="What clients and jobs are told to reach the server at, as http://NAME:5057.",
)
@DATA_OPTION
@click.option(
    "--database",
    metavar="URL",
    envvar="TIDEMILL_DATABASE",
    help="postgresql://...; SQLite in the data folder else. With a password in it, give it as "
    "$TIDEMILL_DATABASE: everybody can read the options of a process.",
)
@click.option(
    "--limits",
    type=click.Choice(["aws", "lifted"]),
    default="aws",
    show_default=True,
    help="AWS's own, so that what works here works there, or raised ones.",
)
@click.option(
    "--auth",
    type=click.Choice(["keys", "off"]),
    default="keys",
    show_default=True,
    help="off serves unsigned requests, on loopback only.",
)
@click.option(
    "--account",
    metavar="ID",
    default="000000000000",
    show_default=True,
    help="The account that ARNs name.",
)
@click.option(
    "--region",
    metavar="NAME",
    default="us-east-1",
    show_default=True,
    help="The one region that requests may be signed for.",
)
@click.option(
    "--keep",
    metavar="DAYS",
    type=float,
    default=7.0,
    show_default=True,
    help="How long ended jobs and their logs are kept.",
)
@click.option("--floor-mib", type=click.IntRange(0), default=256, hidden=True)
@click.option("--ready-fd", type=int, hidden=True)
def serve(data: Path | None, keep: float, ready_fd: int | None, **options: Any) -> None:
    """Serve until stopped. Running jobs go on when the server stops, and when it dies."""
    from tidemill.server import begin_start

    begin_start()
    from tidemill.server.config import ServerConfig, StartError, default_data_folder
    from tidemill.server.serve import run

    folder = (data or default_data_folder()).absolute()
    config = ServerConfig(data=folder, keep_days=keep, **options)
    try:
        run(config, ready_fd=ready_fd)
    except StartError as error:
        raise click.ClickException(str(error)) from error


@click.command(short_help="Stop the server; its jobs go on.")
@DATA_OPTION
@click.option("--jobs", is_flag=True, help="End every running job too, and the runner.")
def stop(data: Path | None, jobs: bool) -> None:
    """Stop the server; jobs go on unless --jobs is given."""
    from tidemill.cli.administration import call, instance_of, running

    instance = instance_of(data)
    answer = call(data, "stop", {"jobs": jobs})
    deadline = time.monotonic() + STOP_S
    while running(data) == instance:
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"The server (process {instance.pid}) still runs after {STOP_S:g} s."
            )
        time.sleep(0.02)
    click.echo(_told(jobs, answer["runningJobs"]))


def _told(with_jobs: bool, running: int) -> str:
    if not running:
        return "Stopped; no job was running."
    counted = "1 running job" if running == 1 else f"{running:,} running jobs"
    return f"Stopped, and {counted} with it." if with_jobs else f"Stopped; {counted} will go on."


@click.command(short_help="Print what clients need to reach the server.")
@DATA_OPTION
@click.option("--write", is_flag=True, help="Store it as the profile `tidemill` of AWS's clients.")
@JSON_OPTION
def config(data: Path | None, write: bool, as_json: bool) -> None:
    """Print what clients need to reach the server: endpoint, region, access key."""
    from tidemill.cli import profile
    from tidemill.cli.administration import access_key_of, instance_of

    instance = instance_of(data)
    key = access_key_of(data)
    settings = {
        "AWS_ENDPOINT_URL": instance.endpoint,
        "AWS_REGION": instance.region,
        "AWS_DEFAULT_REGION": instance.region,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }
    if write:
        files = profile.write(
            instance.endpoint, instance.region, key.access_key_id, key.secret_access_key
        )
        told = " and ".join(str(path) for path in files)
        click.echo(
            f"Wrote the profile `{profile.PROFILE}` to {told}; try\n"
            f"  aws --profile {profile.PROFILE} batch describe-job-queues",
            err=True,
        )
    if as_json:
        print_json(settings)
    elif not write:
        for name, value in settings.items():
            click.echo(f"export {name}={shlex.quote(value)}")


@click.command(short_help="Copy everything while the server runs.")
@click.argument("destination", type=click.Path(path_type=Path))
@DATA_OPTION
@JSON_OPTION
def backup(destination: Path, data: Path | None, as_json: bool) -> None:
    """Copy the database, keys, objects and logs to DESTINATION while the server runs.

    To restore, start a server with --data DESTINATION.
    """
    from tidemill.cli.administration import call

    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise click.ClickException(f"{destination} is there already; name a new folder.")
    answer = call(data, "backup", {"destination": os.fspath(destination.absolute())})
    if as_json:
        print_json(answer)
    else:
        click.echo(
            f"Copied {answer['files']:,} files, {answer['bytes']:,} bytes, to {destination}."
        )
