"""What may be registered as a job definition, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.platform.limit import AWS, LIFTED
from tidemill.services.batch import definition
from tidemill.services.batch.error import Refused

SMALL = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
CONTAINER = {"image": "busybox", "command": ["true"], "resourceRequirements": SMALL}
NODES = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [{"targetNodes": "0:", "container": CONTAINER}],
}


def params(**members: Any) -> dict[str, Any]:
    return {
        "jobDefinitionName": "report",
        "type": "container",
        "containerProperties": CONTAINER,
        **members,
    }


def container(**members: Any) -> dict[str, Any]:
    return params(containerProperties={**CONTAINER, **members})


def test_lists_that_were_left_out_are_shown_empty() -> None:
    shown = definition.checked(params(), AWS)
    properties = shown["containerProperties"]
    assert properties["command"] == ["true"]
    for name in ("volumes", "environment", "mountPoints", "ulimits", "secrets"):
        assert properties[name] == []
    assert shown["platformCapabilities"] == ["EC2"]
    assert shown["parameters"] == {}


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (params(jobDefinitionName="a b"), "jobDefinitionName should match"),
        (params(jobDefinitionName="x" * 129), "jobDefinitionName should match"),
        (params(containerProperties={}), "should not be empty"),
        (params(containerProperties=None), "containerProperties or ecsProperties"),
        (params(eksProperties={}), "EKS"),
        (params(type="multinode"), "nodeProperties"),
        (params(type="multinode", nodeProperties=NODES), "nothing else"),
        (params(ecsProperties={"taskProperties": []}), "either"),
        (container(image=""), "image is not provided"),
        (container(resourceRequirements=SMALL[:1]), "Memory is not provided"),
        (container(resourceRequirements=SMALL[1:]), "vCPU is not provided"),
        (container(environment=[{"name": "AWS_BATCH_X", "value": "1"}]), "AWS_BATCH"),
        (container(environment=[{"value": "1"}]), "needs a name"),
        (container(environment=[{"name": "A=B", "value": "1"}]), "'='"),
        (container(command=["a\0b"]), "NUL"),
        (container(ulimits=[{"name": "no", "softLimit": 1, "hardLimit": 1}]), "'no'"),
        (container(ulimits=[{"name": "nofile", "softLimit": 2, "hardLimit": 1}]), "softLimit 2"),
        (container(mountPoints=[{"sourceVolume": "v"}]), "'v' is not in volumes"),
        (
            container(
                logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "a b"}}
            ),
            "awslogs-group can't be 'a b'",
        ),
        (params(schedulingPriority=10_000), "schedulingPriority should be from 0 to 9999"),
        (params(timeout={"attemptDurationSeconds": 59}), "at least 60"),
        (params(retryStrategy={"attempts": 11}), "from 1 to 10"),
        (params(retryStrategy={"attempts": 0}), "from 1 to 10"),
        (params(retryStrategy={"evaluateOnExit": [{"action": "EXIT"}]}), "attempts must be given"),
        (
            params(retryStrategy={"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}] * 6}),
            "at most 5",
        ),
        (
            params(
                retryStrategy={
                    "attempts": 2,
                    "evaluateOnExit": [{"action": "EXIT", "onExitCode": "x"}],
                }
            ),
            "onExitCode",
        ),
        (
            params(
                retryStrategy={
                    "attempts": 2,
                    "evaluateOnExit": [{"action": "EXIT", "onReason": "a*b"}],
                }
            ),
            "onReason",
        ),
        (params(tags={f"k{n}": "v" for n in range(51)}), "at most 50"),
        (params(tags={"aws:x": "v"}), "reserved"),
        (
            params(consumableResourceProperties={"consumableResourceList": [{"quantity": 1}]}),
            "consumableResource must be given",
        ),
        (
            params(
                consumableResourceProperties={
                    "consumableResourceList": [{"consumableResource": "db", "quantity": 0}]
                }
            ),
            "at least 1",
        ),
        (params(platformCapabilities=["FARGATE"]), "MEMORY 64 is not offered"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        definition.checked(stated, AWS)


def test_lifted_limits_allow_a_timeout_of_a_second() -> None:
    shown = definition.checked(params(timeout={"attemptDurationSeconds": 1}), LIFTED)
    assert shown["timeout"] == {"attemptDurationSeconds": 1}


def test_actions_are_not_case_sensitive() -> None:
    strategy = {"attempts": 3, "evaluateOnExit": [{"action": "exit", "onExitCode": "1*"}]}
    shown = definition.checked(params(retryStrategy=strategy), AWS)
    assert shown["retryStrategy"]["evaluateOnExit"] == [{"action": "EXIT", "onExitCode": "1*"}]


def fargate(**members: Any) -> dict[str, Any]:
    size = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
    base = {**CONTAINER, "resourceRequirements": size, "executionRoleArn": "arn:aws:iam::1:role/x"}
    return params(platformCapabilities=["FARGATE"], containerProperties={**base, **members})


def test_fargate_has_rules_of_its_own() -> None:
    definition.checked(fargate(), AWS)
    with pytest.raises(Refused, match="vcpus is not applicable for Fargate"):
        definition.checked(fargate(vcpus=1), AWS)
    with pytest.raises(Refused, match="executionRoleArn is required"):
        definition.checked(fargate(executionRoleArn=""), AWS)


def ecs(*containers: dict[str, Any], **task: Any) -> dict[str, Any]:
    tasks = [{"containers": list(containers), **task}]
    return params(containerProperties=None, ecsProperties={"taskProperties": tasks})


def test_ecs_properties_hold_one_container() -> None:
    shown = definition.checked(ecs(CONTAINER, taskRoleArn="r"), AWS)
    (task,) = shown["ecsProperties"]["taskProperties"]
    assert task["taskRoleArn"] == "r"
    assert task["containers"][0]["name"] == "default"
    with pytest.raises(Refused, match="exactly one entry; got 2"):
        definition.checked(ecs(CONTAINER, CONTAINER), AWS)
    with pytest.raises(Refused, match="essential"):
        definition.checked(ecs({**CONTAINER, "essential": False}), AWS)
    with pytest.raises(Refused, match="at least 2 seconds"):
        definition.checked(ecs({**CONTAINER, "stopTimeout": 1}), AWS)


def nodes(**members: Any) -> dict[str, Any]:
    return params(type="multinode", containerProperties=None, nodeProperties={**NODES, **members})


def ranges(*targets: str) -> list[dict[str, Any]]:
    return [{"targetNodes": target, "container": CONTAINER} for target in targets]


def test_nodes_are_all_in_some_range() -> None:
    definition.checked(nodes(numNodes=4, nodeRangeProperties=ranges("0:1", "2:")), AWS)
    for targets, words in (
        (("0:0", "2:"), "node 1 is in no range"),
        (("0:9",), "beyond the last node"),
        (("a:b",), "should be a range"),
        (("3:1",), "ends before"),
    ):
        with pytest.raises(Refused, match=words):
            definition.checked(nodes(numNodes=4, nodeRangeProperties=ranges(*targets)), AWS)
    with pytest.raises(Refused, match="mainNode should be fewer"):
        definition.checked(nodes(mainNode=2), AWS)
    with pytest.raises(Refused, match="Fargate"):
        definition.checked(nodes() | {"platformCapabilities": ["FARGATE"]}, AWS)


def test_a_stored_definition_is_read_again_as_it_was_accepted() -> None:
    """Limits may be tighter at the next start; what was accepted stays usable."""
    stated = params(timeout={"attemptDurationSeconds": 1})
    found = definition.template(definition.encode(definition.checked(stated, LIFTED)))
    assert found.timeout_s == 1
