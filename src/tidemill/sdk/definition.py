"""The job definition behind a function: registered once, and again only when it changes."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from typing import Any, Final

from tidemill.sdk import expiry, project
from tidemill.sdk.client import Connection
from tidemill.sdk.concurrency import Concurrency
from tidemill.sdk.error import SubmitError
from tidemill.sdk.project import Project
from tidemill.sdk.retry import Retry

WORKER: Final = "tidemill.sdk.worker"
INPUTS: Final = "inputs"
RESULTS: Final = "results"
_BY_CHOICE: Final = ("jobRoleArn", "executionRoleArn")
_NAME_MAX: Final = 128
_ONCE: Final = Retry()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job of a function is given; None for `timeout_s` means as long as it takes."""

    vcpus: str = "1"
    memory_mib: int = 512
    timeout_s: int | None = None
    soft_timeout_s: int | None = None
    queue: str | None = None
    retry: Retry = _ONCE
    concurrency: Concurrency | None = None
    keep_days: int | None = expiry.DEFAULT_DAYS
    """How long what lies of it in S3 is kept; None is for ever."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def attempts(self) -> int:
        """How often it is tried."""
        return self.retry.attempts

    def resources(self) -> list[dict[str, str]]:
        """Its vCPUs and memory as AWS's `resourceRequirements`."""
        return [
            {"type": "VCPU", "value": self.vcpus},
            {"type": "MEMORY", "value": str(self.memory_mib)},
        ]


def name_of(reference: str) -> str:
    """A name for the function that AWS accepts: `app-render` for `app:render`."""
    place, _, qualname = reference.rpartition(":")
    place = place.rsplit("/", 1)[-1].removesuffix(".py")
    legal = re.sub(r"[^A-Za-z0-9_]+", "-", f"{place}-{qualname}").strip("-")
    return legal[-_NAME_MAX:].lstrip("-")


def definition_of(reference: str, needs: Needs, place: Project) -> dict[str, Any]:
    """The definition of a function's jobs as RegisterJobDefinition takes it."""
    command = [
        *(place.interpreter, "-m", WORKER, reference),
        *(f"Ref::{INPUTS}", f"Ref::{RESULTS}"),
    ]
    return definition_of_command(name_of(reference), command, needs, place)


def definition_of_command(
    name: str, command: list[str], needs: Needs, place: Project
) -> dict[str, Any]:
    """The definition of jobs that run a command, in the project's image if it has one."""
    container: dict[str, Any] = {
        "image": place.image or project.HOST_IMAGE,
        "command": command,
        "resourceRequirements": needs.resources(),
    }
    if place.job_role:
        container["jobRoleArn"] = place.job_role
    if place.execution_role:
        container["executionRoleArn"] = place.execution_role
    if place.platform == "FARGATE":
        public = "ENABLED" if place.public_ip else "DISABLED"
        container["networkConfiguration"] = {"assignPublicIp": public}
    wanted: dict[str, Any] = {
        "jobDefinitionName": name,
        "type": "container",
        "containerProperties": container,
        "retryStrategy": needs.retry.strategy(),
    }
    if place.image:
        wanted["platformCapabilities"] = [place.platform]
    if needs.timeout_s is not None:
        wanted["timeout"] = {"attemptDurationSeconds": needs.timeout_s}
    return wanted


def arn(connection: Connection, wanted: dict[str, Any]) -> str:
    """The ARN, with its revision, of the wanted definition; registered if it is not yet.

    Asked of the service once in a process, as long as the definition stays the same.
    """
    name = wanted["jobDefinitionName"]
    with _lock:
        known = connection.definitions.get(name)
        if known is None or known[0] != wanted:
            known = (wanted, _find_or_register(connection.client("batch"), wanted))
            connection.definitions[name] = known
        return known[1]


def _find_or_register(batch: Any, wanted: dict[str, Any]) -> str:
    pages = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=wanted["jobDefinitionName"], status="ACTIVE"
    )
    there = [definition for page in pages for definition in page["jobDefinitions"]]
    newest = max(there, key=lambda definition: definition["revision"], default=None)
    if newest is not None and _is_same(newest, wanted):
        return str(newest["jobDefinitionArn"])
    try:
        return str(batch.register_job_definition(**wanted)["jobDefinitionArn"])
    except batch.exceptions.ClientException as error:
        name, message = wanted["jobDefinitionName"], error.response["Error"]["Message"]
        raise SubmitError(f"The server takes no such job as {name}: {message}") from error


def _is_same(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a registered definition is the wanted one; a service fills in defaults besides."""
    containers = there.get("containerProperties", {}), wanted["containerProperties"]
    same_choice = bool(there.get("timeout")) == ("timeout" in wanted) and all(
        bool(containers[0].get(name)) == (name in containers[1]) for name in _BY_CHOICE
    )
    return same_choice and _holds(_lowered(there), _lowered(wanted))


def _lowered(definition: dict[str, Any]) -> dict[str, Any]:
    """With the actions of its retry strategy in small letters, as AWS gives back `RETRY`."""
    strategy = definition.get("retryStrategy", {})
    conditions = [
        {name: text.lower() if name == "action" else text for name, text in each.items()}
        for each in strategy.get("evaluateOnExit", ())
    ]
    return definition | {"retryStrategy": strategy | {"evaluateOnExit": conditions}}


def _holds(there: Any, wanted: Any) -> bool:
    match wanted:
        case dict() if isinstance(there, dict):
            return all(key in there and _holds(there[key], wanted[key]) for key in wanted)
        case [dict(), *_] if isinstance(there, list):  # resource requirements, in any order
            return len(there) == len(wanted) and all(
                any(_holds(other, item) for other in there) for item in wanted
            )
        case _:
            return bool(there == wanted)


def place_of_jobs(connection: Connection) -> Project:
    """Where a job's code will lie; `SubmitError` when AWS would not find it."""
    place = project.current()
    if connection.is_private:
        return replace(place, image=None, profile=None)
    if place.image is None and connection.is_aws:
        raise SubmitError(
            "On AWS a job needs a container image with your code and Tidemill in it; name it as "
            '`image = "..."` under [tool.tidemill] in pyproject.toml.'
        )
    return replace(place, region=connection.region) if connection.is_aws else place
