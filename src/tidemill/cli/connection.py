"""Which server the commands speak to: the one that AWS's own settings name, or this machine's.

The library goes by the environment and the profile `tidemill`. Where neither is set, a person at
a terminal means the server that runs here, so it is found by its data folder.
"""

from __future__ import annotations

import functools
from typing import Any

import click

from tidemill.sdk.client import Connection, use
from tidemill.sdk.client import client as configured_client
from tidemill.sdk.session import is_configured


def client(service: str) -> Any:
    """A boto3 client of the server that is meant; a sentence when there is none."""
    _choose()
    return configured_client(service)


@functools.cache
def _choose() -> None:
    if is_configured():
        return
    import boto3

    from tidemill.cli.administration import access_key_of, running
    from tidemill.server.config import default_data_folder

    server = running(None)
    if server is None:
        raise click.ClickException(
            f"No server runs on this machine (its data folder would be {default_data_folder()}); "
            f"start one with `tidemill serve`, or set AWS_PROFILE to reach another."
        )
    key = access_key_of(None)
    session = boto3.session.Session(
        key.access_key_id, key.secret_access_key, region_name=server.region
    )
    use(Connection(session, server.nearest))
