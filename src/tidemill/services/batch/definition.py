"""Job definitions: what may be registered, and what a registered one is for a submission.

A revision is stored as JSON in AWS's own words. `template` turns that into what a submission
merges with, once per revision: tens of thousands of definitions stay compact in memory, and
those in use are found ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from tidemill.platform.limit import LIFTED, Limits
from tidemill.services.batch import demand, node, strategy, tag, task
from tidemill.services.batch.command import RetryStrategy
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import check_name
from tidemill.services.batch.node import NodeSet
from tidemill.services.batch.task import Properties

PRIORITY_MAX: Final = 9999
TEMPLATES_KEPT: Final = 2048
_SHAPES: Final = ("containerProperties", "ecsProperties", "eksProperties", "nodeProperties")
_KEPT: Final = ("type", "parameters", "schedulingPriority", "propagateTags", "platformCapabilities")
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A definition as a submission needs it; `work` is its container or its nodes."""

    work: Properties | NodeSet
    parameters: Mapping[str, str]
    retry: RetryStrategy
    timeout_s: int | None
    priority: int
    demands: Mapping[str, int]
    fargate: bool
    encoded: Mapping[str, msgspec.Raw]
    """Members of a job's detail that come from the definition alone, as JSON."""


def checked(params: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The definition that RegisterJobDefinition's `params` state, or a refusal that says why not.

    The result is what DescribeJobDefinitions shows of it, without its name and revision, and
    is complete: lists that were left out are empty.
    """
    check_name(params["jobDefinitionName"], "jobDefinitionName")
    _check_type(params)
    priority_checked(params.get("schedulingPriority"), "schedulingPriority")
    kept = {name: params[name] for name in _KEPT if params.get(name) is not None}
    kept["parameters"] = dict(params.get("parameters") or {})
    kept["tags"] = tag.checked(params.get("tags"))
    fargate = "FARGATE" in kept.setdefault("platformCapabilities", ["EC2"])
    if params["type"] == "multinode":
        kept["nodeProperties"] = _checked_nodes(params, fargate)
    else:
        member, shown = _checked_container(params, fargate)
        kept[member] = shown
    if params.get("retryStrategy"):
        found = strategy.retry_strategy(params["retryStrategy"], limits, "retryStrategy")
        kept["retryStrategy"] = strategy.shown(found)
    if strategy.timeout_s(params.get("timeout"), limits, "timeout") is not None:
        kept["timeout"] = params["timeout"]
    if demand.checked(params.get("consumableResourceProperties"), "consumableResourceProperties"):
        kept["consumableResourceProperties"] = params["consumableResourceProperties"]
    return kept


def encode(body: Mapping[str, Any]) -> bytes:
    """The stored form of a definition."""
    return _ENCODER.encode(body)


def decode(body: bytes) -> dict[str, Any]:
    """A definition from its stored form."""
    decoded: dict[str, Any] = msgspec.json.decode(body)
    return decoded


def described(name: str, revision: int, active: bool, arn: str, body: bytes) -> dict[str, Any]:
    """A revision as DescribeJobDefinitions shows it."""
    return {
        "jobDefinitionName": name,
        "jobDefinitionArn": arn,
        "revision": revision,
        "status": "ACTIVE" if active else "INACTIVE",
        "containerOrchestrationType": "ECS",
        **decode(body),
    }


@lru_cache(maxsize=TEMPLATES_KEPT)
def template(body: bytes) -> Template:
    """What a submission merges with, from the stored form of a definition.

    What was accepted when it was registered is accepted for good, so the limits don't matter.
    """
    stated = decode(body)
    work: Properties | NodeSet
    if "nodeProperties" in stated:
        work = node.checked(stated["nodeProperties"])
    else:
        work = task.checked(stated, "", container_member="containerProperties")
    retry = strategy.retry_strategy(stated.get("retryStrategy"), LIFTED, "retryStrategy")
    constant = {"retryStrategy": strategy.shown(retry), "parameters": stated["parameters"]}
    for name in ("timeout", "propagateTags", "platformCapabilities"):
        if name in stated:
            constant[name] = stated[name]
    return Template(
        work=work,
        parameters=stated["parameters"],
        retry=retry,
        timeout_s=strategy.timeout_s(stated.get("timeout"), LIFTED, "timeout"),
        priority=stated.get("schedulingPriority", 0),
        demands=demand.checked(stated.get("consumableResourceProperties"), ""),
        fargate="FARGATE" in stated["platformCapabilities"],
        encoded={name: msgspec.Raw(_ENCODER.encode(value)) for name, value in constant.items()},
    )


def priority_checked(priority: int | None, member: str) -> int | None:
    """A scheduling priority, or a refusal."""
    if priority is not None and not 0 <= priority <= PRIORITY_MAX:
        raise Refused(f"{member} should be from 0 to {PRIORITY_MAX}; got {priority}.")
    return priority


def _check_type(params: Mapping[str, Any]) -> None:
    given = [name for name in _SHAPES if params.get(name) is not None]
    if "eksProperties" in given:
        raise Refused(
            "eksProperties: jobs on Amazon EKS are not part of Tidemill; use containerProperties."
        )
    if params["type"] == "multinode":
        if given != ["nodeProperties"]:
            raise Refused("A definition of type multinode needs nodeProperties and nothing else.")
        return
    if params["type"] != "container":
        raise Refused(f"type should be container or multinode; got {params['type'][:50]!r}.")
    if len(given) != 1 or given == ["nodeProperties"]:
        raise Refused(
            "A definition of type container needs either containerProperties or ecsProperties."
        )


def _checked_container(params: Mapping[str, Any], fargate: bool) -> tuple[str, dict[str, Any]]:
    properties = task.checked(params, "", fargate=fargate, container_member="containerProperties")
    member = "containerProperties" if properties.task is None else "ecsProperties"
    if fargate:
        around = params["containerProperties"] if properties.task is None else properties.task
        if not around.get("executionRoleArn"):
            raise Refused(f"{member}: executionRoleArn is required for Fargate.")
    return member, properties.shown(properties.container.detail)


def _checked_nodes(params: Mapping[str, Any], fargate: bool) -> dict[str, Any]:
    if fargate:
        raise Refused("platformCapabilities: multinode jobs are not supported on Fargate.")
    nodes = node.checked(params["nodeProperties"])
    for found in nodes.ranges:
        demand.checked(
            found.stated.get("consumableResourceProperties"),
            "nodeProperties.nodeRangeProperties.consumableResourceProperties",
        )
    return shown_nodes(nodes)


def shown_nodes(nodes: NodeSet) -> dict[str, Any]:
    """Nodes as AWS shows them."""
    ranges = []
    for found in nodes.ranges:
        member = "container" if found.properties.task is None else "ecsProperties"
        shown = found.properties.shown(found.properties.container.detail)
        ranges.append({**found.stated, member: shown})
    return {"numNodes": nodes.count, "mainNode": nodes.main, "nodeRangeProperties": ranges}
