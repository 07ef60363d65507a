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
    from botocore.credentials import Credentials

    server = instance_of(data)
    key = access_key_of(data)
    credentials = Credentials(key.access_key_id, key.secret_access_key)
    endpoint = server.nearest
    try:
        status, answer = _post(endpoint, server.region, credentials, operation, params)
    except OSError as error:
        raise click.ClickException(f"The server at {endpoint} does not answer: {error}.") from error
    if status != 200:
        raise click.ClickException(str(answer.get("message", answer)))
    return answer


def ask(operation: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer of the server that the commands speak to, to what AWS has no operation for.

    None where that is no Tidemill server, an older one, or where these keys may not ask.
    """
    from tidemill.cli.connection import client
    from tidemill.sdk.client import current

    endpoint = client("batch").meta.endpoint_url
    connection = current()
    credentials = connection.session.get_credentials()
    if connection.is_aws or credentials is None:
        return None
    try:
        status, answer = _post(
            endpoint, connection.region, credentials.get_frozen_credentials(), operation, params
        )
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return answer if status == 200 else None


def _post(
    endpoint: str, region: str, credentials: Any, operation: str, params: Mapping[str, Any]
) -> tuple[int, dict[str, Any]]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    body = json.dumps(params)
    url = f"{endpoint.rstrip('/')}/_tidemill/{operation}"
    request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
    SigV4Auth(credentials, "tidemill", region).add_auth(request)
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", place.path, body, dict(request.headers.items()))
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        return response.status, answer
    finally:
        connection.close()
