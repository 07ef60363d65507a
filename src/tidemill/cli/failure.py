"""What went wrong, as one sentence for a person at a terminal."""

from __future__ import annotations


def sentence(error: Exception) -> str | None:
    """One sentence for an error of the world, or None for a bug of ours (shown as it is)."""
    from botocore import exceptions

    match error:
        case exceptions.ClientError():
            details = error.response.get("Error", {})
            return str(details.get("Message") or details.get("Code") or error)
        case exceptions.EndpointConnectionError() | exceptions.ConnectionClosedError():
            endpoint = error.kwargs.get("endpoint_url", "the endpoint")
            return f"No server answers at {endpoint}; start one with `tidemill serve`."
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return (
                "No access key is configured; run `tidemill config --write` beside a running "
                "server, or set AWS_PROFILE."
            )
        case exceptions.ProfileNotFound():
            return f"{error}; run `tidemill config --write` to make the profile `tidemill`."
        case exceptions.BotoCoreError():
            return str(error)
        case _:
            return None
