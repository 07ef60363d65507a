"""From SubmitJob's words to the core's command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tidemill.platform.limit import AWS, LIFTED, Limits
from tidemill.services.batch.command import Dependency, DependencyType, RetryRule, SubmitJob
from tidemill.services.batch.error import Refused
from tidemill.services.batch.registry import Registry
from tidemill.services.batch.request import Request
from tidemill.services.batch.submission import submission

Change = Callable[..., dict[str, Any]]
SMALL = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
CONTAINER = {
    "image": "busybox",
    "command": ["greet", "Ref::name", "--from=Ref::sender", "Ref::unknown"],
    "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "resourceRequirements": SMALL,
}


@pytest.fixture
def submit(registry: Registry, change: Change) -> Callable[..., SubmitJob]:
    """Submit with a definition `report` that has the parameters name and sender."""
    change(
        "RegisterJobDefinition",
        jobDefinitionName="report",
        type="container",
        parameters={"name": "Ada", "sender": "us"},
        containerProperties=CONTAINER,
        retryStrategy={"attempts": 3},
        timeout={"attemptDurationSeconds": 90},
        schedulingPriority=7,
    )

    def make(limits: Limits = AWS, **members: Any) -> SubmitJob:
        params = {"jobName": "job", "jobQueue": "default", "jobDefinition": "report", **members}
        return submission(registry, params, "an-id", limits)

    return make


def body(command: SubmitJob) -> Any:
    return msgspec.json.decode(command.body)


def test_a_plain_submission_takes_all_from_the_definition(
    submit: Callable[..., SubmitJob],
) -> None:
    command = submit()
    assert command.request == Request(1000, 64)
    assert command.retry.attempts == 3
    assert command.timeout_s == 90
    assert command.priority == 7
    assert command.queue == "default"
    assert command.definition_name == "report"
    assert command.definition_arn.endswith(":job-definition/report:1")
    shown = body(command)
    assert shown["container"]["command"] == ["greet", "Ada", "--from=us", "Ref::unknown"]
    assert shown["parameters"] == {"name": "Ada", "sender": "us"}
    assert shown["retryStrategy"] == {"attempts": 3, "evaluateOnExit": []}
    assert shown["timeout"] == {"attemptDurationSeconds": 90}


def test_the_submission_wins(submit: Callable[..., SubmitJob]) -> None:
    command = submit(
        parameters={"name": "Bob"},
        containerOverrides={
            "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
            "resourceRequirements": [{"type": "VCPU", "value": "0.5"}],
        },
        retryStrategy={
            "attempts": 2,
            "evaluateOnExit": [{"onExitCode": "137", "action": "RETRY"}],
        },
        timeout={"attemptDurationSeconds": 60},
        tags={"team": "blue"},
        schedulingPriorityOverride=9,
    )
    assert command.request == Request(500, 64)
    assert command.retry.rules == (RetryRule(retry=True, exit_code="137"),)
    assert command.timeout_s == 60
    assert command.priority == 9
    shown = body(command)
    assert shown["container"]["command"][1] == "Bob"
    assert shown["container"]["environment"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "3"},
        {"name": "C", "value": "4"},
    ]
    assert shown["parameters"] == {"name": "Bob", "sender": "us"}
    assert shown["tags"] == {"team": "blue"}


def test_old_members_do_not_override_new_ones(
    submit: Callable[..., SubmitJob], change: Change
) -> None:
    """API reference, ContainerOverrides: vcpus doesn't override a resourceRequirements VCPU."""
    assert submit(containerOverrides={"vcpus": 4, "memory": 128}).request == Request(1000, 64)
    old = {"image": "busybox", "vcpus": 2, "memory": 32}
    change(
        "RegisterJobDefinition", jobDefinitionName="old", type="container", containerProperties=old
    )
    over = {"vcpus": 4, "resourceRequirements": [{"type": "MEMORY", "value": "99"}]}
    command = submit(jobDefinition="old", containerOverrides=over)
    assert command.request == Request(4000, 99)
    assert body(command)["container"]["vcpus"] == 4
    assert "memory" not in body(command)["container"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"jobName": "-x"}, "jobName should match"),
        ({"jobName": "x" * 129}, "jobName should match"),
        ({"jobQueue": "nowhere"}, "JobQueue nowhere not found"),
        ({"jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/default"}, "us-east-1"),
        ({"jobDefinition": "nothing"}, "JobDefinition nothing not found"),
        ({"jobDefinition": "report:2"}, "JobDefinition report:2 not found"),
        ({"jobDefinition": "report:x"}, "jobDefinition should be"),
        ({"dependsOn": [{"jobId": str(n)} for n in range(21)]}, "at most 20"),
        ({"dependsOn": [{}]}, "jobId must be given"),
        ({"dependsOn": [{"jobId": "a b"}]}, "'a b' is not the id of a job"),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, "array jobs only"),
        ({"dependsOn": [{"jobId": "a", "type": "N_TO_N"}]}, "array jobs only"),
        (
            {"arrayProperties": {"size": 2}, "dependsOn": [{"type": "N_TO_N"}]},
            "jobId must be given with the type N_TO_N",
        ),
        ({"arrayProperties": {"size": 1}}, "from 2 to 10000"),
        ({"arrayProperties": {"size": 10_001}}, "from 2 to 10000"),
        ({"retryStrategy": {"attempts": 11}}, "from 1 to 10"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"shareIdentifier": "a"}, "shareIdentifier should not be specified"),
        ({"schedulingPriorityOverride": -1}, "schedulingPriorityOverride"),
        ({"nodeOverrides": {"numNodes": 2}}, "nodeOverrides should not be set"),
        ({"ecsPropertiesOverride": {"taskProperties": [{}]}}, "use containerOverrides"),
        ({"eksPropertiesOverride": {"podProperties": {}}}, "EKS"),
        ({"containerOverrides": {"command": [""]}}, "empty string"),
        (
            {"containerOverrides": {"environment": [{"name": "AWS_BATCH_JOB_ID", "value": ""}]}},
            "AWS_BATCH",
        ),
        (
            {
                "consumableResourcePropertiesOverride": {
                    "consumableResourceList": [{"consumableResource": "db", "quantity": 1}]
                }
            },
            "ConsumableResource db not found",
        ),
        ({"tags": {"aws:a": "b"}}, "reserved"),
        ({"tags": {f"tag{n}": "b" for n in range(51)}}, "at most 50"),
        ({"parameters": {"unused": "x" * 30_720}}, "Job size must be at most 30720 bytes.*got 308"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(
    submit: Callable[..., SubmitJob], members: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        submit(**members)


@pytest.mark.parametrize("kind", ["containerProperties", "ecsProperties", "nodeProperties"])
def test_what_asks_for_secrets_is_not_run_without_them(
    submit: Callable[..., SubmitJob], change: Change, kind: str
) -> None:
    secret = {**CONTAINER, "secrets": [{"name": "TOKEN", "valueFrom": "token"}]}
    shapes: dict[str, Any] = {
        "containerProperties": secret,
        "ecsProperties": {"taskProperties": [{"containers": [secret]}]},
        "nodeProperties": {
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [
                {"targetNodes": "0", "container": CONTAINER},
                {"targetNodes": "1", "container": secret},
            ],
        },
    }
    change(
        "RegisterJobDefinition",
        jobDefinitionName="secret",
        type="multinode" if kind == "nodeProperties" else "container",
        **{kind: shapes[kind]},
    )
    for _ in range(2):
        with pytest.raises(Refused, match=r"secrets \(TOKEN\) can't be looked up.*environment"):
            submit(jobDefinition="secret")


LONG = [{"name": "LONG", "value": "x" * 7_700}]
LONG_NODE = {"targetNodes": "0:", "containerOverrides": {"environment": LONG}}


@pytest.mark.parametrize(
    "members",
    [
        {"containerOverrides": {"environment": LONG}},
        {"parameters": {"name": "x" * 7_700}},
        {"jobDefinition": "nodes", "nodeOverrides": {"nodePropertyOverrides": [LONG_NODE]}},
        {"jobDefinition": "nodes", "parameters": {"name": "x" * 7_700}},
    ],
)
def test_more_than_ecs_overrides_is_refused_at_once(
    submit: Callable[..., SubmitJob], change: Change, members: dict[str, Any]
) -> None:
    """On AWS the job FAILS with "Container Overrides length must be at most 8192"."""
    ranges = [{"targetNodes": "0:", "container": CONTAINER}]
    change(
        "RegisterJobDefinition",
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )
    with pytest.raises(Refused, match=r"Container overrides length .* 8192.* come to 7[78]"):
        submit(**members)
    assert submit(limits=LIFTED, **members)
    assert submit(parameters={"unused": "x" * 7_700})


def test_lifted_limits(submit: Callable[..., SubmitJob]) -> None:
    command = submit(
        limits=LIFTED,
        arrayProperties={"size": 10_000_000},
        timeout={"attemptDurationSeconds": 1},
    )
    assert command.array_size == 10_000_000
    assert command.timeout_s == 1


def test_dependencies(submit: Callable[..., SubmitJob]) -> None:
    command = submit(
        arrayProperties={"size": 3},
        dependsOn=[{"jobId": "a"}, {"jobId": "b", "type": "N_TO_N"}, {"type": "SEQUENTIAL"}],
    )
    assert command.dependencies == (
        Dependency("a"),
        Dependency("b", DependencyType.N_TO_N),
        Dependency(None, DependencyType.SEQUENTIAL),
    )
    assert body(command)["arrayProperties"] == {"size": 3}


def test_definitions_by_every_name(submit: Callable[..., SubmitJob], change: Change) -> None:
    base = "arn:aws:batch:eu-west-1:123456789012:job-definition/report"
    for text in ("report", "report:1", base, f"{base}:1"):
        assert submit(jobDefinition=text).definition_arn == f"{base}:1"
    change("DeregisterJobDefinition", jobDefinition="report:1")
    with pytest.raises(Refused, match="not ACTIVE"):
        submit()
    queue = "arn:aws:batch:eu-west-1:123456789012:job-queue/default"
    with pytest.raises(Refused, match="not ACTIVE"):
        submit(jobQueue=queue, jobDefinition="report:1")


def test_a_disabled_queue_takes_no_jobs(submit: Callable[..., SubmitJob], change: Change) -> None:
    change("UpdateJobQueue", jobQueue="default", state="DISABLED")
    with pytest.raises(Refused, match="DISABLED"):
        submit()


def test_a_fair_share_queue_needs_a_share(submit: Callable[..., SubmitJob], change: Change) -> None:
    arn = change("CreateSchedulingPolicy", name="tenants")["arn"]
    change(
        "CreateJobQueue",
        jobQueueName="shared",
        priority=1,
        schedulingPolicyArn=arn,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "local"}],
    )
    with pytest.raises(Refused, match="must be specified"):
        submit(jobQueue="shared")
    with pytest.raises(Refused, match="letters and numbers"):
        submit(jobQueue="shared", shareIdentifier="a b")
    command = submit(jobQueue="shared", shareIdentifier="blue")
    assert command.share == "blue"
    assert body(command)["schedulingPriority"] == 7


def test_consumables_of_definition_and_submission(
    submit: Callable[..., SubmitJob], change: Change
) -> None:
    change("CreateConsumableResource", consumableResourceName="db", totalQuantity=5)
    licence = change("CreateConsumableResource", consumableResourceName="key")
    change(
        "RegisterJobDefinition",
        jobDefinitionName="greedy",
        type="container",
        containerProperties=CONTAINER,
        consumableResourceProperties={
            "consumableResourceList": [{"consumableResource": "db", "quantity": 2}]
        },
    )
    assert submit(jobDefinition="greedy").request.consumables == (("db", 2),)
    over = [
        {"consumableResource": "db", "quantity": 3},
        {"consumableResource": licence["consumableResourceArn"], "quantity": 1},
    ]
    command = submit(
        jobDefinition="greedy",
        consumableResourcePropertiesOverride={"consumableResourceList": over},
    )
    assert command.request.consumables == (("db", 3), ("key", 1))


def test_an_ecs_container_is_overridden_by_its_name(
    submit: Callable[..., SubmitJob], change: Change
) -> None:
    stated = {**CONTAINER, "name": "main", "stopTimeout": 5}
    change(
        "RegisterJobDefinition",
        jobDefinitionName="ecs",
        type="container",
        ecsProperties={"taskProperties": [{"containers": [stated]}]},
    )
    over = {"taskProperties": [{"containers": [{"name": "main", "command": ["other"]}]}]}
    command = submit(jobDefinition="ecs", ecsPropertiesOverride=over)
    (task,) = body(command)["ecsProperties"]["taskProperties"]
    assert task["containers"][0]["command"] == ["other"]
    assert command.stop_grace_s == 5
    over["taskProperties"][0]["containers"][0]["name"] = "side"
    with pytest.raises(Refused, match="'main', not 'side'"):
        submit(jobDefinition="ecs", ecsPropertiesOverride=over)
    with pytest.raises(Refused, match="use ecsPropertiesOverride"):
        submit(jobDefinition="ecs", containerOverrides={"command": ["x"]})


def test_nodes_are_summed_and_overridden(submit: Callable[..., SubmitJob], change: Change) -> None:
    big = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "100"}]
    change(
        "RegisterJobDefinition",
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={
            "numNodes": 4,
            "mainNode": 0,
            "nodeRangeProperties": [
                {"targetNodes": "0:", "container": CONTAINER},
                {"targetNodes": "0:0", "container": {**CONTAINER, "resourceRequirements": big}},
            ],
        },
    )
    command = submit(jobDefinition="nodes", parameters={"name": "Eve"})
    assert command.nodes is not None
    assert [(g.first, g.last) for g in command.nodes.groups] == [(0, 0), (1, 3)]
    assert command.request == Request(4000 + 3 * 1000, 100 + 3 * 64)
    shown = body(command)["nodeProperties"]["nodeRangeProperties"]
    assert shown[0]["container"]["command"][1] == "Eve"
    half = {"resourceRequirements": [{"type": "VCPU", "value": "0.5"}]}
    overrides = {
        "numNodes": 3,
        "nodePropertyOverrides": [{"targetNodes": "2:2", "containerOverrides": half}],
    }
    command = submit(jobDefinition="nodes", nodeOverrides=overrides)
    assert command.request.cpu_milli == 4000 + 1000 + 500
    with pytest.raises(Refused, match="can't be an array"):
        submit(jobDefinition="nodes", arrayProperties={"size": 2})
    with pytest.raises(Refused, match="use nodeOverrides"):
        submit(jobDefinition="nodes", containerOverrides=half)


def test_output_goes_where_the_log_configuration_says(
    submit: Callable[..., SubmitJob], change: Change
) -> None:
    options = {"awslogs-group": "mine", "awslogs-stream-prefix": "p"}
    stated = {**CONTAINER, "logConfiguration": {"logDriver": "awslogs", "options": options}}
    change(
        "RegisterJobDefinition",
        jobDefinitionName="logged",
        type="container",
        containerProperties=stated,
    )
    command = submit(jobDefinition="logged")
    assert (command.log_group, command.log_stream_prefix) == ("mine", "p")
    assert submit().log_group == "/aws/batch/job"
