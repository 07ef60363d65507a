"""What a job will run, worked out of its definition and its submission: shown, and counted.

`Work` is what the core must know of it (how much it needs, of which nodes it consists) beside
what people are shown of it (the members of DescribeJobs' detail, ready as JSON).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tidemill.services.batch import container, demand, node, requirement, task
from tidemill.services.batch.command import NodeGroup, Nodes
from tidemill.services.batch.definition import Template, shown_nodes
from tidemill.services.batch.error import Refused
from tidemill.services.batch.node import NodeSet
from tidemill.services.batch.request import Request
from tidemill.services.batch.task import Properties

STOP_GRACE_S: Final = 30.0
LOG_GROUP: Final = "/aws/batch/job"
_encode = msgspec.json.Encoder().encode

Resolve = Callable[[str], str]
"""From a consumable resource's name or ARN to its name; refuses what there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One container or several nodes, ready to be asked for."""

    shown: Mapping[str, msgspec.Raw]
    request: Request
    nodes: Nodes | None = None
    stop_grace_s: float = STOP_GRACE_S
    log_group: str = LOG_GROUP
    log_stream_prefix: str | None = None


def of(
    template: Template,
    params: Mapping[str, Any],
    parameters: Mapping[str, str],
    demands: Mapping[str, int],
    resolve: Resolve,
) -> Work:
    """The work that a submission's `params` ask for, or a refusal.

    `parameters` are the definition's with the submission's over them, `demands` the consumable
    resources of the job as a whole.
    """
    if isinstance(template.work, NodeSet):
        return _of_nodes(template.work, params, parameters, demands, resolve)
    if params.get("nodeOverrides"):
        raise Refused(
            "nodeOverrides should not be set: the job definition is not of type multinode."
        )
    properties = task.overridden(template.work, params, "")
    if template.fargate and properties is not template.work:
        requirement.check_fargate(properties.container.needs, "containerOverrides")
    return _of_container(properties, parameters, demands, resolve)


def _of_container(
    properties: Properties,
    parameters: Mapping[str, str],
    demands: Mapping[str, int],
    resolve: Resolve,
) -> Work:
    container.check_runnable(properties.container)
    shown = properties.shown(container.resolved(properties.container, parameters))
    group, prefix = container.log_options(properties.container)
    return Work(
        shown={
            "container" if properties.task is None else "ecsProperties": msgspec.Raw(_encode(shown))
        },
        request=_request(properties, _named(demands, resolve)),
        stop_grace_s=container.stop_timeout_s(properties.container) or STOP_GRACE_S,
        log_group=group or LOG_GROUP,
        log_stream_prefix=prefix,
    )


def _of_nodes(
    nodes: NodeSet,
    params: Mapping[str, Any],
    parameters: Mapping[str, str],
    demands: Mapping[str, int],
    resolve: Resolve,
) -> Work:
    for member in ("containerOverrides", "ecsPropertiesOverride", "eksPropertiesOverride"):
        if params.get(member):
            raise Refused(
                f"{member} should not be set: the job definition is of type multinode; "
                "use nodeOverrides."
            )
    if params.get("nodeOverrides"):
        nodes = node.overridden(nodes, params["nodeOverrides"])
    for found in nodes.ranges:
        container.check_runnable(found.properties.container)
    groups = tuple(_group(first, last, found, resolve) for first, last, found in nodes.groups())
    main = nodes.range_of(nodes.main).properties.container
    group, prefix = container.log_options(main)
    return Work(
        shown={"nodeProperties": msgspec.Raw(_encode(_resolved_nodes(nodes, parameters)))},
        request=_total(groups, _named(demands, resolve)),
        nodes=Nodes(count=nodes.count, main=nodes.main, groups=groups),
        stop_grace_s=container.stop_timeout_s(main) or STOP_GRACE_S,
        log_group=group or LOG_GROUP,
        log_stream_prefix=prefix,
    )


def _request(properties: Properties, demands: Mapping[str, int]) -> Request:
    needs = properties.container.needs
    assert needs.cpu_milli is not None and needs.memory_mib is not None
    return Request(
        needs.cpu_milli, needs.memory_mib, needs.gpus or 0, tuple(sorted(demands.items()))
    )


def _group(first: int, last: int, found: node.NodeRange, resolve: Resolve) -> NodeGroup:
    stated = found.stated.get("consumableResourceProperties")
    demands = demand.checked(stated, "nodeProperties.nodeRangeProperties") if stated else {}
    return NodeGroup(
        first=first, last=last, request=_request(found.properties, _named(demands, resolve))
    )


def _total(groups: tuple[NodeGroup, ...], demands: Mapping[str, int]) -> Request:
    """The sum over all nodes, and what the job asks for as a whole."""
    cpu = memory = gpus = 0
    total = dict(demands)
    for group in groups:
        count, each = group.last - group.first + 1, group.request
        cpu += count * each.cpu_milli
        memory += count * each.memory_mib
        gpus += count * each.gpus
        for name, quantity in each.consumables:
            total[name] = total.get(name, 0) + count * quantity
    return Request(cpu, memory, gpus, tuple(sorted(total.items())))


def _named(demands: Mapping[str, int], resolve: Resolve) -> dict[str, int]:
    named: dict[str, int] = {}
    for text, quantity in demands.items():
        name = resolve(text)
        named[name] = named.get(name, 0) + quantity
    return named


def _resolved_nodes(nodes: NodeSet, parameters: Mapping[str, str]) -> dict[str, Any]:
    shown = shown_nodes(nodes)
    for entry, found in zip(shown["nodeRangeProperties"], nodes.ranges, strict=True):
        detail = container.resolved(found.properties.container, parameters)
        member = "container" if found.properties.task is None else "ecsProperties"
        entry[member] = found.properties.shown(detail)
    return shown
