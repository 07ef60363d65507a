"""The container image and the roles: what AWS needs to run the project's code, and we do not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tidemill.cli.finding import Finding, code_of, is_denied, note, ok, unchecked, wrong
from tidemill.sdk.client import Connection
from tidemill.sdk.project import Project

ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<name>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>.+))?"
)
ENGINE_TAG: Final = "tidemill:engine"


def findings(
    connection: Connection, place: Project, environments: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    """Image, roles and platform, as the queue's compute environments need them."""
    if not connection.is_aws:
        yield from _on_our_server(place, environments)
        return
    if place.image is None:
        yield wrong(
            "image",
            "none is named, and AWS runs jobs in containers",
            'name it as `image = "..."` in [tool.tidemill] or the profile; `tidemill build` writes '
            "a Dockerfile for it",
        )
    else:
        yield _image(connection, place.image)
    yield from _platform(place, environments)
    yield from _roles(place)


def _on_our_server(place: Project, environments: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    on_host = [
        each["computeEnvironmentName"]
        for each in environments
        if each.get("tags", {}).get(ENGINE_TAG, "process") == "process"
    ]
    if place.image and on_host:
        yield wrong(
            "image",
            f"{place.image} is named, but {on_host[0]} runs jobs without containers, where "
            f"{place.python!r} would be this machine's",
            "name a region or aws_profile beside it, if AWS is meant"
            if place.profile
            else "name the image in a profile of its own, such as [tool.tidemill.profiles.aws]",
        )
    else:
        yield ok("image", place.image or "none is needed: jobs run on the server's machine")


def _image(connection: Connection, image: str) -> Finding:
    match = ECR.fullmatch(image)
    if match is None:
        return unchecked("image", f"{image} is not in ECR, so nothing can be said of it")
    wanted = (
        {"imageDigest": match["digest"]}
        if match["digest"]
        else {"imageTag": match["tag"] or "latest"}
    )
    try:
        ecr = connection.session.client("ecr", region_name=match["region"])
        ecr.describe_images(
            registryId=match["account"], repositoryName=match["name"], imageIds=[wanted]
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it only keeps us from looking
        missing = {"RepositoryNotFoundException", "ImageNotFoundException"}
        if code_of(error) in missing:
            return wrong("image", f"{image} is not in ECR", "push it as `tidemill build` says")
        told = "may not look into ECR" if is_denied(error) else "could not look into ECR"
        return unchecked("image", f"{image}: these credentials {told}")
    return ok("image", image)


def _platform(place: Project, environments: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    kinds = {each.get("computeResources", {}).get("type", "") for each in environments}
    fargate = {kind for kind in kinds if kind.startswith("FARGATE")}
    if fargate and place.platform != "FARGATE":
        told = "the queue's environments are of Fargate, the profile's jobs of EC2"
        yield wrong("platform", told, 'set platform = "FARGATE" in the profile')
    elif kinds - fargate - {""} and place.platform == "FARGATE":
        told = "the queue's environments are of EC2, the profile's jobs of Fargate"
        yield wrong("platform", told, 'set platform = "EC2" in the profile, or leave it out')
    else:
        yield ok("platform", place.platform)


def _roles(place: Project) -> Iterator[Finding]:
    on_fargate = place.platform == "FARGATE"
    if place.execution_role:
        yield ok("execution role", place.execution_role)
    elif on_fargate:
        told = "none is named, and Fargate fetches no image without"
        yield wrong("execution role", told, "name it as `execution_role` in the profile")
    else:
        yield note("execution role", "none is named; the instances' own is used")
    if place.job_role:
        yield ok("job role", place.job_role)
    elif on_fargate:
        told = "none is named, so jobs can't reach S3"
        yield wrong("job role", told, "name it as `job_role` in the profile")
    else:
        yield note("job role", "none is named; jobs have what the instances' role may")
