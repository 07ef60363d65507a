"""Which account at which server: what the project's profile says, boto3's own rules, or ours.

A profile of `pyproject.toml` that names a place is whole: what the environment says of another one
does not count. Otherwise boto3's rules hold, and where the environment says nothing, the profile
`tidemill` of AWS's config, which `tidemill config --write` stores, then AWS's own default profile,
then the server that runs on this machine. Inside a job the engine's environment says everything.
"""

from __future__ import annotations

import os
from typing import Any, Final

from tidemill.sdk import nearby, project
from tidemill.sdk.error import TidemillError

PROFILE: Final = "tidemill"
_JOB: Final = "AWS_BATCH_JOB_ID"
_CREDENTIALS: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_OUR_CREDENTIALS: Final = "/_tidemill/credentials"
_CONFIGURES: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BATCH",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def is_configured() -> bool:
    """Whether anything says where to find a server, or AWS."""
    return is_in_environment() or is_in_project() or has_profile()


def is_in_environment() -> bool:
    """Whether the environment says so."""
    return any(os.environ.get(name) for name in _CONFIGURES)


def is_in_project() -> bool:
    """Whether the project's settings say so, and this is no job."""
    return not _is_job() and project.current().names_a_server


def _is_job() -> bool:
    """Whether this is a job, or a warm interpreter, which is none yet but has jobs' credentials."""
    return _JOB in os.environ or os.environ.get(_CREDENTIALS, "").endswith(_OUR_CREDENTIALS)


def has_profile() -> bool:
    """Whether AWS's config has the profile `tidemill`."""
    import boto3

    return PROFILE in boto3.session.Session().available_profiles


def default() -> tuple[Any, str | None]:
    """boto3's session, and the endpoint that the project names, if it does."""
    import boto3

    if is_in_project():
        return _of_project(project.current())
    if is_in_environment():
        return _with_region(boto3.session.Session()), None
    session = boto3.session.Session()
    if PROFILE in session.available_profiles:
        return boto3.session.Session(profile_name=PROFILE), None
    if "default" in session.available_profiles:
        return _with_region(session), None
    return _nearby() or (_with_region(session), None)


def _nearby() -> tuple[Any, str] | None:
    import boto3

    found = nearby.find()
    if found is None:
        return None
    session = boto3.session.Session(
        found.access_key_id, found.secret_access_key, region_name=found.region
    )
    return session, found.endpoint


def _with_region(session: Any) -> Any:
    if session.region_name is None:
        raise TidemillError(
            "Nothing says where jobs should run, and no server of yours runs on this machine: "
            "start one with `tidemill serve`, or name a place by AWS_PROFILE, or in tests use "
            "`with tm.local()`."
            if not is_in_environment()
            else "The environment names a server or an account but no region; set AWS_REGION."
        )
    return session


def _of_project(place: project.Project) -> tuple[Any, str | None]:
    import boto3
    import botocore.exceptions
    import botocore.session

    core = botocore.session.Session(profile=place.aws_profile)
    if place.aws_profile:
        try:
            config = core.get_scoped_config()
        except botocore.exceptions.ProfileNotFound as error:
            raise TidemillError(
                f"AWS's config has no profile {place.aws_profile!r}, which `aws_profile` in "
                f"pyproject.toml names; make it by `aws configure --profile {place.aws_profile}`."
            ) from error
        if not {"endpoint_url", "services"} & config.keys():
            core.set_config_variable("ignore_configured_endpoint_urls", True)
    session = boto3.session.Session(botocore_session=core, region_name=place.region)
    return session, place.endpoint
