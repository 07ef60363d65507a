"""`tidemill serve`, `stop`, `config` and `backup`: the server's own life."""

from __future__ import annotations

import os
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


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=5057, show_default=True)
@DATA_OPTION
@click.option("--database", metavar="URL", help="postgresql://...; SQLite in the data folder else.")
@click.option("--limits", type=click.Choice(["aws", "lifted"]), default="aws", show_default=True)
@click.option("--auth", type=click.Choice(["keys", "off"]), default="keys", show_default=True)
@click.option("--account", metavar="ID", default="000000000000", show_default=True)
@click.option("--region", metavar="NAME", default="us-east-1", show_default=True)
@click.option("--keep", metavar="DAYS", type=float, default=7.0, show_default=True)
@click.option("--floor-mib", type=click.IntRange(0), default=256, hidden=True)
@click.option("--ready-fd", type=int, hidden=True)
def serve(data: Path | None, keep: float, ready_fd: int | None, **options: Any) -> None:
    """Serve until stopped. Running jobs go on when the server stops, and when it dies."""
    from tidemill.server.config import ServerConfig, StartError, default_data_folder
    from tidemill.server.serve import run

    config = ServerConfig(data=data or default_data_folder(), keep_days=keep, **options)
    try:
        run(config, ready_fd=ready_fd)
    except StartError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@DATA_OPTION
@click.option("--jobs", is_flag=True, help="End every running job too, and the runner.")
def stop(data: Path | None, jobs: bool) -> None:
    """Stop the server; jobs go on unless --jobs is given."""
    from tidemill.cli.administration import call, instance_of, is_running

    instance = instance_of(data)
    call(data, "stop", {"jobs": jobs})
    deadline = time.monotonic() + STOP_S
    while is_running(data, instance):
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"The server (process {instance.pid}) still runs after {STOP_S:g} s."
            )
        time.sleep(0.02)
    click.echo("Stopped, and its jobs with it." if jobs else "Stopped; running jobs go on.")


@click.command()
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
        click.echo(f"Wrote the profile `{profile.PROFILE}` to {told}.", err=True)
    if as_json:
        print_json(settings)
    elif not write:
        for name, value in settings.items():
            click.echo(f"export {name}={value}")


@click.command()
@click.argument("destination", type=click.Path(path_type=Path))
@DATA_OPTION
def backup(destination: Path, data: Path | None) -> None:
    """Copy the database, keys, objects and logs to DESTINATION while the server runs.

    To restore, start a server with --data DESTINATION.
    """
    from tidemill.cli.administration import call

    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise click.ClickException(f"{destination} is there already; name a new folder.")
    answer = call(data, "backup", {"destination": os.fspath(destination.absolute())})
    click.echo(f"Copied {answer['files']} files, {answer['bytes']:,} bytes, to {destination}.")
