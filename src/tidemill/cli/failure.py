"""What went wrong, as one sentence for a person at a terminal."""

from __future__ import annotations

import os
from urllib.parse import urlsplit


def sentence(error: Exception) -> str | None:
    """One sentence for an error of the world, or None for a bug of ours (shown as it is)."""
    from botocore import exceptions

    from tidemill.sdk.error import TidemillError

    match error:
        case TidemillError():
            return str(error)
        case exceptions.ClientError():
            details = error.response.get("Error", {})
            return str(details.get("Message") or details.get("Code") or error)
        case (
            exceptions.EndpointConnectionError()
            | exceptions.ConnectionClosedError()
            | exceptions.ReadTimeoutError()
            | exceptions.ConnectTimeoutError()
        ):
            return _unanswered(str(error.kwargs.get("endpoint_url", "")))
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return (
                "No access key is configured; run `tidemill config --write` beside a running "
                "server, or set AWS_PROFILE."
            )
        case exceptions.NoRegionError():
            return (
                "No region is configured; set AWS_DEFAULT_REGION, or run `tidemill config --write` "
                "beside a running server."
            )
        case exceptions.ProfileNotFound():
            return f"{error}; run `tidemill config --write` to make the profile `tidemill`."
        case exceptions.BotoCoreError():
            return str(error)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror or error}."
        case _:
            return None


def _unanswered(url: str) -> str:
    """The address that clients were given is wrong, or nothing runs there now."""
    from tidemill.cli.administration import running

    place = urlsplit(url)
    asked = f"{place.scheme}://{place.netloc}"
    told = f"No server answers at {asked}"
    if os.environ.get("AWS_ENDPOINT_URL"):
        told += ", which AWS_ENDPOINT_URL names"
    here = running(None)
    if here is not None and here.endpoint != asked:
        return (
            f"{told}; the one on this machine is at {here.endpoint}, and "
            f"`tidemill config --write` has clients find it."
        )
    return f"{told}; start one with `tidemill serve`."
