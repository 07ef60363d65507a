"""From a job's body to what an engine is told: command, environment, limits.

The body is DescribeJobs' JSON, as it was submitted; parameters are in place already. It is read
once per job; what differs from attempt to attempt is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from tidemill.platform.engine import Attempt
from tidemill.services.batch.effect import StartAttempt
from tidemill.services.batch.node import split_range
from tidemill.services.batch.request import Request

WORKING_DIRECTORY: Final = "TIDEMILL_DIRECTORY"
"""The variable by which a job names the directory that it runs in; ours, AWS has none."""


class _Pair(msgspec.Struct):
    name: str
    value: str = ""


class _Ulimit(msgspec.Struct, rename="camel"):
    name: str
    hard_limit: int
    soft_limit: int


class _Container(msgspec.Struct, rename="camel"):
    command: list[str] = []
    environment: list[_Pair] = []
    ulimits: list[_Ulimit] = []
    image: str = ""
    user: str | None = None


class _Task(msgspec.Struct):
    containers: list[_Container]


class _EcsProperties(msgspec.Struct, rename="camel"):
    task_properties: list[_Task]


class _NodeRange(msgspec.Struct, rename="camel"):
    target_nodes: str
    container: _Container | None = None
    ecs_properties: _EcsProperties | None = None


class _NodeProperties(msgspec.Struct, rename="camel"):
    num_nodes: int
    main_node: int
    node_range_properties: list[_NodeRange]


class _Body(msgspec.Struct, rename="camel"):
    container: _Container | None = None
    ecs_properties: _EcsProperties | None = None
    node_properties: _NodeProperties | None = None


_decode = msgspec.json.Decoder(_Body).decode


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in one container, the same for all attempts."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    ulimits: tuple[tuple[str, int, int], ...]
    image: str
    user: str | None
    working_directory: str | None


class Launch:
    """How to start any attempt of one job; raises `ValueError` when the body tells of none."""

    __slots__ = ("_nodes", "_program", "size_bytes")

    def __init__(self, body: bytes) -> None:
        try:
            found = _decode(body)
        except msgspec.MsgspecError as error:
            raise ValueError(f"The job's body can't be read: {error}") from error
        self.size_bytes = len(body)
        self._nodes = found.node_properties
        self._program = (
            None if self._nodes else _program(_container(found.container, found.ecs_properties))
        )

    def attempt(self, order: StartAttempt, given: Mapping[str, str]) -> Attempt:
        """What to tell the engine; `given` are variables that the job's own may override."""
        program = self._program or self._node_program(order.node or 0)
        request = _request(order)
        spec = order.spec
        return Attempt(
            attempt_id=order.attempt_id,
            pool=order.environment,
            command=program.command,
            environment={**given, **program.environment, **batch_variables(order)},
            cpu_milli=request.cpu_milli,
            memory_mib=request.memory_mib,
            gpus=request.gpus,
            log_group=spec.log_group,
            log_stream=order.log_stream,
            working_directory=program.working_directory,
            ulimits=program.ulimits,
            image=program.image,
            user=program.user,
        )

    def _node_program(self, node: int) -> Program:
        """What node `node` runs: the narrowest range that has it says so."""
        assert self._nodes is not None
        last_node = self._nodes.num_nodes - 1
        covering: list[tuple[int, int, _NodeRange]] = []
        for entry in self._nodes.node_range_properties:
            first, last = split_range(entry.target_nodes, "targetNodes")
            last = last_node if last is None else last
            if first <= node <= last:
                covering.append((last - first, -first, entry))
        entry = min(covering, key=lambda found: found[:2])[2]
        return _program(_container(entry.container, entry.ecs_properties))


def batch_variables(order: StartAttempt) -> dict[str, str]:
    """The variables that AWS Batch sets (user guide, "Job environment variables")."""
    found = {
        "AWS_BATCH_JOB_ID": order.attempt_id.rpartition("/")[0],
        "AWS_BATCH_JOB_ATTEMPT": str(order.number),
        "AWS_BATCH_JQ_NAME": order.spec.queue,
        "AWS_BATCH_CE_NAME": order.environment,
    }
    if order.index is not None:
        found["AWS_BATCH_JOB_ARRAY_INDEX"] = str(order.index)
        found["AWS_BATCH_JOB_ARRAY_SIZE"] = str(order.array_size)
    nodes = order.spec.nodes
    if nodes is not None:
        found["AWS_BATCH_JOB_NUM_NODES"] = str(nodes.count)
        found["AWS_BATCH_JOB_NODE_INDEX"] = str(order.node)
        found["AWS_BATCH_JOB_MAIN_NODE_INDEX"] = str(nodes.main)
        if order.main_address is not None:
            found["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = order.main_address
    return found


def _request(order: StartAttempt) -> Request:
    nodes = order.spec.nodes
    if nodes is None:
        return order.spec.request
    node = order.node or 0
    return next(group.request for group in nodes.groups if group.first <= node <= group.last)


def _container(plain: _Container | None, ecs: _EcsProperties | None) -> _Container:
    if plain is not None:
        return plain
    if ecs is None:
        raise ValueError("The job's body tells of no container.")
    return ecs.task_properties[0].containers[0]


def _program(container: _Container) -> Program:
    environment = {pair.name: pair.value for pair in container.environment}
    return Program(
        command=tuple(container.command),
        environment=environment,
        ulimits=tuple((u.name, u.soft_limit, u.hard_limit) for u in container.ulimits),
        image=container.image,
        user=container.user,
        working_directory=environment.get(WORKING_DIRECTORY),
    )
