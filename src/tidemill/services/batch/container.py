"""One container: what a definition may say of it, what a submission may change, what it needs.

A container is kept as DescribeJobs shows it (`detail`, AWS's names), beside what it needs.
`containerProperties`, the one container of `ecsProperties` and a node range's container are
all this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.services.batch import parameter, requirement
from tidemill.services.batch.error import Refused
from tidemill.services.batch.requirement import Needs

RESERVED_PREFIX: Final = "AWS_BATCH"
STOP_TIMEOUT_MIN_S: Final = 2
_ULIMITS: Final = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"),
    *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
_LISTS: Final = (
    *("command", "environment", "mountPoints", "ulimits", "resourceRequirements"),
    "secrets",
)
"""What AWS shows as an empty list where nothing was given."""
_LOG_OPTIONS: Final = {
    "awslogs-group": re.compile(r"[.\-_/#A-Za-z0-9]{1,512}"),
    "awslogs-stream-prefix": re.compile(r"[^:*\x00-\x1f]{1,400}"),
}
"""What CloudWatch Logs allows in the names of groups and streams."""
_NOT_ON_FARGATE: Final = ("vcpus", "memory", "privileged", "instanceType")


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was checked: `needs` has vCPUs and memory both."""

    detail: Mapping[str, Any]
    needs: Needs
    refers: bool
    """Whether its command refers to parameters."""


def checked(properties: Mapping[str, Any], member: str, *, fargate: bool = False) -> Container:
    """The container that a definition states at `member`, or a refusal that names what is wrong."""
    if not properties:
        raise Refused("Container properties should not be empty.")
    if not properties.get("image"):
        raise Refused(f"{member}.image is not provided: a container needs an image.")
    if fargate:
        _check_fargate_members(properties, member)
    needs = requirement.stated(properties, member)
    if fargate:
        requirement.check_fargate(needs, member)
    _check_parts(properties, member)
    detail = {**properties, **{name: properties.get(name) or [] for name in _LISTS}}
    return Container(detail, needs, parameter.refers(detail["command"]))


def overridden(container: Container, overrides: Mapping[str, Any], member: str) -> Container:
    """`container` with a submission's overrides over it.

    AWS's rule: `vcpus` and `memory` change only what the definition said by those members;
    what it said in resourceRequirements is changed by resourceRequirements alone.
    """
    detail = dict(container.detail)
    needs = container.needs
    command = overrides.get("command")
    if command:
        check_command(command, f"{member}.command")
        detail["command"] = command
    if overrides.get("environment"):
        check_environment(overrides["environment"], f"{member}.environment")
        detail["environment"] = _merged_environment(detail["environment"], overrides["environment"])
    if overrides.get("instanceType"):
        detail["instanceType"] = overrides["instanceType"]
    if "vcpus" in overrides or "memory" in overrides:
        needs = _override_old(detail, overrides, member).over(needs)
    if overrides.get("resourceRequirements"):
        new = requirement.parse(overrides["resourceRequirements"], member)
        needs = new.over(needs)
        _override_requirements(detail, overrides["resourceRequirements"], new)
    refers = parameter.refers(detail["command"]) if command else container.refers
    return Container(detail, needs, refers)


def resolved(container: Container, parameters: Mapping[str, str]) -> Mapping[str, Any]:
    """The detail of `container` with its command's parameters put in."""
    if not container.refers:
        return container.detail
    command = parameter.substitute(container.detail["command"], parameters)
    return {**container.detail, "command": command}


def check_runnable(container: Container) -> None:
    """Refuse to run what asks for secrets: a job without them would fail in the dark."""
    names = [str(secret.get("name")) for secret in container.detail.get("secrets") or ()]
    if names:
        raise Refused(
            f"The job definition's secrets ({', '.join(names)[:200]}) can't be looked up: Secrets "
            "Manager and Parameter Store are not part of Tidemill. Register a revision without "
            "secrets and give the values by environment."
        )


def stop_timeout_s(container: Container) -> float | None:
    """How long the container may take to end after SIGTERM, where it says so."""
    seconds = container.detail.get("stopTimeout")
    return None if seconds is None else float(seconds)


def log_options(container: Container) -> tuple[str | None, str | None]:
    """The log group and the stream prefix that the `awslogs` driver is asked for."""
    configuration = container.detail.get("logConfiguration") or {}
    if configuration.get("logDriver") != "awslogs":
        return None, None
    options = configuration.get("options") or {}
    return options.get("awslogs-group"), options.get("awslogs-stream-prefix")


def check_command(command: Sequence[str], member: str) -> None:
    """Refuse an empty word and what no process could be given."""
    if any(not word for word in command):
        raise Refused(f"{member}: a command can't contain an empty string.")
    if any("\0" in word for word in command):
        raise Refused(f"{member}: a command can't contain a NUL character.")


def check_environment(environment: Sequence[Mapping[str, str]], member: str) -> None:
    """Refuse variables without a name, and names that Batch keeps for itself."""
    for variable in environment:
        name = variable.get("name")
        if not name:
            raise Refused(f"{member}: an environment variable needs a name.")
        if name.startswith(RESERVED_PREFIX):
            raise Refused(
                f"{member}: environment variables cannot start with {RESERVED_PREFIX!r}, which "
                f"is reserved for variables that Batch sets; got {name[:150]!r}."
            )
        if "=" in name or "\0" in name or "\0" in (variable.get("value") or ""):
            raise Refused(
                f"{member}: {name[:150]!r} can't be an environment variable, because of a '=' in "
                "its name or a NUL character."
            )


def _check_parts(properties: Mapping[str, Any], member: str) -> None:
    if any("\0" in word for word in properties.get("command") or ()):
        raise Refused(f"{member}.command: a command can't contain a NUL character.")
    check_environment(properties.get("environment") or (), f"{member}.environment")
    for limit in properties.get("ulimits") or ():
        _check_ulimit(limit, f"{member}.ulimits")
    _check_log(properties.get("logConfiguration") or {}, f"{member}.logConfiguration")
    stop = properties.get("stopTimeout")
    if stop is not None and stop < STOP_TIMEOUT_MIN_S:
        raise Refused(f"{member}.stopTimeout should be at least 2 seconds; got {stop}.")


def _check_log(configuration: Mapping[str, Any], member: str) -> None:
    if configuration.get("logDriver") != "awslogs":
        return
    options = configuration.get("options") or {}
    for name, allowed in _LOG_OPTIONS.items():
        value = options.get(name)
        if value is not None and not allowed.fullmatch(value):
            raise Refused(f"{member}.options: {name} can't be {value[:150]!r}.")


def check_mounts(
    mounts: Sequence[Mapping[str, Any]], volumes: Sequence[Mapping[str, Any]], member: str
) -> None:
    """Refuse a mount point whose volume is not among `volumes`."""
    names = {volume.get("name") for volume in volumes}
    for mount in mounts:
        source = mount.get("sourceVolume")
        if source not in names:
            raise Refused(f"{member}.mountPoints: sourceVolume {source!r} is not in volumes.")


def _check_ulimit(limit: Mapping[str, Any], member: str) -> None:
    if limit["name"] not in _ULIMITS:
        raise Refused(f"{member}: {limit['name'][:50]!r} is not one of {', '.join(_ULIMITS)}.")
    soft, hard = limit["softLimit"], limit["hardLimit"]
    if hard != -1 and (soft > hard or soft == -1):
        raise Refused(f"{member}: softLimit {soft} of {limit['name']} is above hardLimit {hard}.")


def _check_fargate_members(properties: Mapping[str, Any], member: str) -> None:
    for name in _NOT_ON_FARGATE:
        if properties.get(name):
            hint = " Use resource requirements instead." if name in ("vcpus", "memory") else ""
            raise Refused(f"{member}: {name} is not applicable for Fargate.{hint}")


def _merged_environment(
    present: Sequence[Mapping[str, str]], over: Sequence[Mapping[str, str]]
) -> list[Mapping[str, str]]:
    after = {variable["name"]: variable for variable in present}
    after.update((variable["name"], variable) for variable in over)
    return list(after.values())


def _override_requirements(
    detail: dict[str, Any], over: Sequence[Mapping[str, str]], new: Needs
) -> None:
    after = {entry["type"]: entry for entry in detail["resourceRequirements"]}
    after.update((entry["type"], entry) for entry in over)
    detail["resourceRequirements"] = list(after.values())
    if new.cpu_milli is not None:
        detail.pop("vcpus", None)
    if new.memory_mib is not None:
        detail.pop("memory", None)


def _override_old(detail: dict[str, Any], overrides: Mapping[str, Any], member: str) -> Needs:
    """Override `vcpus` and `memory` where the definition has them; what that comes to."""
    old = requirement.parse_old(overrides, member)
    for name in ("vcpus", "memory"):
        if name in detail and overrides.get(name) is not None:
            detail[name] = overrides[name]
    return Needs(
        old.cpu_milli if "vcpus" in detail else None,
        old.memory_mib if "memory" in detail else None,
    )
