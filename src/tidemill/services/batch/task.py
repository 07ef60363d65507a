"""A job's properties where it is one container: `containerProperties`, or `ecsProperties` with one.

The two differ in where the container stands and in what surrounds it; `Properties` hides that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidemill.services.batch import container
from tidemill.services.batch.container import Container
from tidemill.services.batch.error import Refused


@dataclass(frozen=True, slots=True)
class Properties:
    """One container, and the ECS task around it where the definition states one."""

    container: Container
    task: Mapping[str, Any] | None = None

    def shown(self, detail: Mapping[str, Any]) -> dict[str, Any]:
        """The value of `containerProperties` or `ecsProperties` with `detail` in its place."""
        if self.task is None:
            return dict(detail)
        return {"taskProperties": [{**self.task, "containers": [detail]}]}


def checked(
    stated: Mapping[str, Any], prefix: str, *, fargate: bool = False, container_member: str
) -> Properties:
    """The one container that a definition or a node range states, or a refusal.

    `container_member` is how AWS calls the plain form there: `containerProperties` in a
    definition, `container` in a node range.
    """
    plain, ecs = stated.get(container_member), stated.get("ecsProperties")
    if stated.get("eksProperties"):
        raise Refused(
            f"{prefix}eksProperties: jobs on Amazon EKS are not part of Tidemill; "
            f"use {container_member}."
        )
    if plain is not None and ecs is not None:
        raise Refused(f"{prefix}{container_member} can't be used together with ecsProperties.")
    if plain is not None:
        found = container.checked(plain, f"{prefix}{container_member}", fargate=fargate)
        detail = {**found.detail, "volumes": found.detail.get("volumes") or []}
        container.check_mounts(
            detail["mountPoints"], detail["volumes"], f"{prefix}{container_member}"
        )
        return Properties(replace(found, detail=detail))
    if ecs is not None:
        return _checked_task(ecs, f"{prefix}ecsProperties.taskProperties", fargate)
    raise Refused(f"{prefix}{container_member} or {prefix}ecsProperties must be given.")


def overridden(properties: Properties, overrides: Mapping[str, Any], prefix: str) -> Properties:
    """`properties` with `containerOverrides` or `ecsPropertiesOverride` over it."""
    plain, ecs = overrides.get("containerOverrides"), overrides.get("ecsPropertiesOverride")
    if overrides.get("eksPropertiesOverride"):
        raise Refused(
            f"{prefix}eksPropertiesOverride: jobs on Amazon EKS are not part of Tidemill."
        )
    if properties.task is None:
        if ecs:
            raise Refused(
                f"{prefix}ecsPropertiesOverride should not be set for a definition with "
                "containerProperties; use containerOverrides."
            )
        member = f"{prefix}containerOverrides"
        over = plain
    else:
        if plain:
            raise Refused(
                f"{prefix}containerOverrides should not be set for a definition with "
                "ecsProperties; use ecsPropertiesOverride."
            )
        member = f"{prefix}ecsPropertiesOverride.taskProperties.containers"
        over = _task_override(properties, ecs, member)
    if not over:
        return properties
    return Properties(container.overridden(properties.container, over, member), properties.task)


def _checked_task(ecs: Mapping[str, Any], member: str, fargate: bool) -> Properties:
    tasks = ecs.get("taskProperties") or []
    if len(tasks) != 1:
        raise Refused(f"{member} should have exactly one entry; got {len(tasks)}.")
    containers = tasks[0].get("containers") or []
    if len(containers) != 1:
        raise Refused(
            f"{member}.containers should have exactly one entry; got {len(containers)}. "
            "Jobs of several containers are not part of Tidemill."
        )
    stated = containers[0]
    if stated.get("essential") is False:
        raise Refused(f"{member}.containers: a job needs at least one essential container.")
    if stated.get("dependsOn"):
        raise Refused(f"{member}.containers.dependsOn names a container that isn't there.")
    found = container.checked(stated, f"{member}.containers", fargate=fargate)
    around = {name: value for name, value in tasks[0].items() if name != "containers"}
    around["volumes"] = around.get("volumes") or []
    container.check_mounts(found.detail["mountPoints"], around["volumes"], f"{member}.containers")
    detail = {"name": "default", "essential": True, **found.detail}
    return Properties(replace(found, detail=detail), around)


def _task_override(
    properties: Properties, ecs: Mapping[str, Any] | None, member: str
) -> Mapping[str, Any] | None:
    tasks = (ecs or {}).get("taskProperties") or []
    if not tasks:
        return None
    containers = tasks[0].get("containers") or []
    if len(tasks) > 1 or len(containers) > 1:
        raise Refused(f"{member}: the job has one task with one container; more are overridden.")
    if not containers:
        return None
    name = properties.container.detail["name"]
    given = containers[0].get("name", name)
    if given != name:
        raise Refused(f"{member}.name: the job's container is {name!r}, not {given[:150]!r}.")
    over: Mapping[str, Any] = containers[0]
    return over
