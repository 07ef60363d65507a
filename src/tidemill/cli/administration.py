"""Signed requests to a running server's own paths: what AWS's API has no operation for."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from tidemill.server import instance
from tidemill.server.config import StartError, default_data_folder
from tidemill.server.credential import AccessKey, load_or_make

TIMEOUT_S = 600


def running(data: Path | None) -> instance.Instance | None:
    """The server that runs on this data folder, the default one for None."""
    folder = data or default_data_folder()
    try:
        return instance.read(folder)
    except OSError as error:
        raise click.ClickException(
            f"The data folder {folder} can't be read ({error.strerror}); its owner can."
        ) from error


def instance_of(data: Path | None) -> instance.Instance:
    """The server that runs on this data folder, or a sentence that none does."""
    found = running(data)
    if found is None:
        raise click.ClickException(
            f"No server runs on the data folder {data or default_data_folder()}; start one with "
            f"`tidemill serve`, or name another folder with --data."
        )
    return found


def access_key_of(data: Path | None) -> AccessKey:
    """The access key of the data folder."""
    try:
        return load_or_make(data or default_data_folder())
    except StartError as error:
        raise click.ClickException(str(error)) from error


def call(data: Path | None, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of an administrative operation, or its refusal as one sentence."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    server = instance_of(data)
    key = access_key_of(data)
    body = json.dumps(params)
    url = f"{server.endpoint}/_tidemill/{operation}"
    request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
    credentials = Credentials(key.access_key_id, key.secret_access_key)
    SigV4Auth(credentials, "tidemill", server.region).add_auth(request)
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", place.path, body, dict(request.headers.items()))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except OSError as error:
        raise click.ClickException(
            f"The server at {server.endpoint} does not answer: {error}."
        ) from error
    finally:
        connection.close()
    if response.status != 200:
        raise click.ClickException(str(answer.get("message", answer)))
    return answer
