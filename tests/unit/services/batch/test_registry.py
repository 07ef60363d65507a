"""What holds between queues, environments, policies, consumables and definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.platform.clock import Now
from tidemill.platform.limit import AWS
from tidemill.services.batch.catalogue import INACTIVE_KEPT_MS, Revision
from tidemill.services.batch.environment import Offer, crowding
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.registry import Registry
from tidemill.services.batch.registry_store import Rows
from tidemill.services.batch.scheduling.spec import FairShare

Change = Callable[..., dict[str, Any]]
CONTAINER = {"image": "busybox", "vcpus": 1, "memory": 64}


def order(*names: str) -> list[dict[str, Any]]:
    return [{"order": n, "computeEnvironment": name} for n, name in enumerate(names)]


def managed(**members: Any) -> dict[str, Any]:
    return {"type": "EC2", "maxvCpus": 4, **members}


def register(change: Change, name: str = "report", **members: Any) -> int:
    reply = change(
        "RegisterJobDefinition",
        jobDefinitionName=name,
        type="container",
        containerProperties=CONTAINER,
        **members,
    )
    return int(reply["revision"])


def stored(registry: Registry) -> Rows:
    """What a database would hold after the writes made so far."""
    rows = Rows()
    for write in registry.take_writes():
        if "INTO batch_resource" in write.sql:
            rows.resources.extend((k, n, b) for k, n, b in write.rows)
        elif "INTO batch_definition" in write.sql:
            rows.revisions.extend(Revision(*row) for row in write.rows)
    return rows


def test_the_first_start_makes_a_place_to_run(registry: Registry, offer: Offer) -> None:
    queue, local = registry.queue_spec("default"), registry.environment_spec("local")
    assert queue is not None and queue.environments == ("local",) and queue.enabled
    assert local is not None and local.cpu_milli == offer.cpu_milli
    assert local.memory_mib == offer.memory_mib and local.look_ahead


def test_the_first_start_makes_a_queue_for_tenants(registry: Registry) -> None:
    default, fair = registry.queue_spec("default"), registry.queue_spec("fair")
    assert default is not None and default.policy is None
    assert fair is not None and fair.policy == FairShare(decay_s=600)
    assert (fair.environments, fair.priority) == (default.environments, default.priority)


def test_a_server_from_before_is_given_the_queue_for_tenants(
    registry: Registry, offer: Offer
) -> None:
    rows = [row for row in stored(registry).resources if row[1] != "fair"]
    older = Registry(registry.names, AWS, {"process": offer})
    older.restore(Rows(rows))
    assert older.queue_spec("fair") is None
    older.found("again")
    assert older.queue_spec("fair") == registry.queue_spec("fair")
    assert older.resources.policies == registry.resources.policies


def test_what_goes_by_the_name_of_the_queue_for_tenants_is_left_alone(
    registry: Registry, offer: Offer
) -> None:
    rows = [row for row in stored(registry).resources if row[1] != "fair"]
    older = Registry(registry.names, AWS, {"process": offer})
    older.restore(Rows(rows))
    params = {"jobQueueName": "fair", "priority": 9, "computeEnvironmentOrder": order("local")}
    older.change("CreateJobQueue", params, "id", Now(wall_ms=0, mono_ms=0))
    older.found("again")
    spec = older.queue_spec("fair")
    assert spec is not None and spec.priority == 9 and spec.policy is None


@pytest.mark.parametrize("queue", ["default", "fair"])
def test_deleted_beginnings_do_not_come_back(
    registry: Registry, change: Change, queue: str
) -> None:
    change("UpdateJobQueue", jobQueue=queue, state="DISABLED")
    change("DeleteJobQueue", jobQueue=queue)
    assert registry.deleting == [(Kind.QUEUE, queue)]
    registry.forget(Kind.QUEUE, queue)
    registry.found("again")
    assert registry.queue_spec(queue) is None


def test_everything_is_there_after_a_restart(
    registry: Registry, change: Change, offer: Offer
) -> None:
    arn = change(
        "CreateSchedulingPolicy",
        name="tenants",
        fairsharePolicy={
            "shareDecaySeconds": 60,
            "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 0.5}],
        },
    )["arn"]
    change(
        "CreateComputeEnvironment",
        computeEnvironmentName="four",
        type="MANAGED",
        computeResources=managed(),
    )
    change(
        "CreateJobQueue",
        jobQueueName="q",
        priority=3,
        schedulingPolicyArn=arn,
        computeEnvironmentOrder=order("four", "local"),
        jobStateTimeLimitActions=[
            {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
        ],
        tags={"a": "b"},
    )
    change("CreateConsumableResource", consumableResourceName="db", totalQuantity=3)
    register(change)
    again = Registry(registry.names, AWS, {"process": offer})
    again.restore(stored(registry))
    assert again.resources.queues == registry.resources.queues
    assert again.resources.environments == registry.resources.environments
    assert again.resources.policies == registry.resources.policies
    assert again.resources.consumables == registry.resources.consumables
    assert again.catalogue.usable("report").number == 1
    spec = again.queue_spec("q")
    assert spec is not None
    assert spec.policy == FairShare(decay_s=60, weights=(("a*", 0.5),))
    assert spec.environments == ("four", "local")
    assert again.take_touched().queues == {"q", "default", "fair"}
    assert again.take_writes() == []


def test_local_follows_the_machine_until_somebody_says_otherwise(
    registry: Registry, change: Change
) -> None:
    rows = stored(registry)
    larger = Registry(registry.names, AWS, {"process": Offer(cpu_milli=16_000, memory_mib=1)})
    larger.restore(rows)
    assert larger.resources.environments["local"].resources["maxvCpus"] == 16
    change("UpdateComputeEnvironment", computeEnvironment="local", computeResources={"maxvCpus": 3})
    spec = registry.environment_spec("local")
    assert spec is not None and spec.cpu_milli == 3000


def test_only_of_the_process_engine_is_it_known_that_environments_share_a_machine(
    offer: Offer,
) -> None:
    registry = Registry(Names("0", "x"), AWS, {"process": offer, "farm": offer})
    registry.found("id")
    for name, engine in (("near", "process"), ("far", "farm"), ("farther", "farm")):
        params = {
            "computeEnvironmentName": name,
            "type": "MANAGED",
            "computeResources": managed(maxvCpus=64),
            "tags": {"tidemill:engine": engine},
        }
        registry.change("CreateComputeEnvironment", params, name, Now(wall_ms=0, mono_ms=0))
    specs = [registry.environment_spec(name) for name in ("local", "near", "far", "farther")]
    assert [spec and spec.host for spec in specs] == ["process", "process", None, None]
    environments = registry.resources.environments
    crowded = [
        crowding(environments[name], environments.values(), registry.engines)
        for name in ("local", "near", "far")
    ]
    assert crowded == [
        "; with near it may run jobs of 72 vCPUs at once on a machine of 8",
        "; with local it may run jobs of 72 vCPUs at once on a machine of 8",
        "",
    ]


def test_an_environment_without_its_engine_is_invalid(registry: Registry) -> None:
    gone = Registry(registry.names, AWS, {})
    gone.restore(stored(registry))
    spec = gone.environment_spec("local")
    assert spec is not None and not spec.valid


def test_names_are_taken_once(change: Change) -> None:
    with pytest.raises(Refused, match="Object already exists"):
        change(
            "CreateJobQueue",
            jobQueueName="default",
            priority=1,
            computeEnvironmentOrder=order("local"),
        )


def test_an_environment_in_use_is_not_deleted(registry: Registry, change: Change) -> None:
    with pytest.raises(Refused, match="must be DISABLED first"):
        change("DeleteComputeEnvironment", computeEnvironment="local")
    change("UpdateComputeEnvironment", computeEnvironment="local", state="DISABLED")
    with pytest.raises(Refused, match="existing JobQueue relationship"):
        change("DeleteComputeEnvironment", computeEnvironment="local")
    for queue in ("default", "fair"):
        change("UpdateJobQueue", jobQueue=queue, state="DISABLED")
        change("DeleteJobQueue", jobQueue=queue)
        with pytest.raises(Refused, match="existing JobQueue relationship"):
            change("DeleteComputeEnvironment", computeEnvironment="local")
        registry.forget(Kind.QUEUE, queue)
    change("DeleteComputeEnvironment", computeEnvironment="local")
    spec = registry.environment_spec("local")
    assert spec is not None and not spec.enabled
    registry.forget(Kind.ENVIRONMENT, "local")
    assert registry.environment_spec("local") is None


def test_what_is_being_deleted_is_not_changed(change: Change) -> None:
    with pytest.raises(Refused, match="must be DISABLED first"):
        change("DeleteJobQueue", jobQueue="default")
    change("UpdateJobQueue", jobQueue="default", state="DISABLED")
    change("DeleteJobQueue", jobQueue="default")
    with pytest.raises(Refused, match="being deleted"):
        change("UpdateJobQueue", jobQueue="default", state="ENABLED")


def test_a_policy_is_replaced_but_never_added_nor_deleted_in_use(
    registry: Registry, change: Change
) -> None:
    one = change("CreateSchedulingPolicy", name="one")["arn"]
    two = change("CreateSchedulingPolicy", name="two")["arn"]
    change(
        "CreateJobQueue",
        jobQueueName="q",
        priority=1,
        schedulingPolicyArn=one,
        computeEnvironmentOrder=order("local"),
    )
    with pytest.raises(Refused, match="existing JobQueue relationship"):
        change("DeleteSchedulingPolicy", arn=one)
    change("UpdateJobQueue", jobQueue="q", schedulingPolicyArn=two)
    change("DeleteSchedulingPolicy", arn=one)
    with pytest.raises(Refused, match="none can be added"):
        change("UpdateJobQueue", jobQueue="default", schedulingPolicyArn=two)
    registry.take_touched()
    change("UpdateSchedulingPolicy", arn=two, fairsharePolicy={"computeReservation": 50})
    assert registry.take_touched().queues == {"q"}


def test_a_definition_has_at_most_24_kib(registry: Registry, change: Change) -> None:
    with pytest.raises(Refused, match=r"definition size must be at most 24576 bytes.* got 24\d+"):
        register(change, parameters={"text": "x" * 24_500})
    assert register(change, parameters={"text": "x" * 24_000}) == 1


def test_revisions_are_never_given_twice(registry: Registry, change: Change) -> None:
    assert [register(change), register(change)] == [1, 2]
    change("DeregisterJobDefinition", jobDefinition="report:2")
    assert registry.catalogue.usable("report").number == 1
    assert register(change) == 3
    with pytest.raises(Refused, match="must have a revision"):
        change("DeregisterJobDefinition", jobDefinition="report")
    with pytest.raises(Refused, match="not found"):
        change("DeregisterJobDefinition", jobDefinition="report:9")


def test_old_revisions_are_forgotten_but_not_their_numbers(
    registry: Registry, change: Change
) -> None:
    register(change)
    register(change)
    change("DeregisterJobDefinition", jobDefinition="report:1", wall_ms=1)
    change("DeregisterJobDefinition", jobDefinition="report:2", wall_ms=2)
    late = INACTIVE_KEPT_MS + 10
    register(change, "other")
    change("DeregisterJobDefinition", jobDefinition="other:1", wall_ms=late)
    assert [r.number for r in registry.catalogue.of_name("report")] == [2]
    assert register(change) == 3


def test_tags(registry: Registry, change: Change) -> None:
    register(change)
    names = registry.names
    arns = [
        names.arn(Kind.QUEUE, "default"),
        names.arn(Kind.ENVIRONMENT, "local"),
        names.arn(Kind.DEFINITION, "report:1"),
    ]
    for arn in arns:
        change("TagResource", resourceArn=arn, tags={"a": "1", "b": "2"})
        change("UntagResource", resourceArn=arn, tagKeys=["a", "none"])
    assert registry.resources.queues["default"].tags == {"b": "2"}
    assert registry.resources.environments["local"].tags["b"] == "2"
    assert registry.catalogue.described(registry.catalogue.get("report:1"))["tags"] == {"b": "2"}
    with pytest.raises(Refused, match="chosen when it is created"):
        change("TagResource", resourceArn=arns[1], tags={"tidemill:engine": "docker"})
    with pytest.raises(Refused, match="not found"):
        change("TagResource", resourceArn=names.arn(Kind.QUEUE, "nowhere"), tags={})


def test_an_environment_chooses_an_engine_that_is_there(change: Change) -> None:
    with pytest.raises(Refused, match="'slurm', which isn't there; there is process"):
        change(
            "CreateComputeEnvironment",
            computeEnvironmentName="cluster",
            type="UNMANAGED",
            tags={"tidemill:engine": "slurm"},
        )


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"computeEnvironmentName": "a b"}, "computeEnvironmentName should match"),
        ({"type": "OTHER"}, "MANAGED or UNMANAGED"),
        ({"computeResources": None}, "must be provided"),
        ({"computeResources": managed(maxvCpus=0)}, "maxvCpus should be from 1"),
        ({"computeResources": managed(minvCpus=5)}, "minvCpus should be from 0 to maxvCpus, 4"),
        ({"computeResources": managed(desiredvCpus=5)}, "desiredvCpus"),
        ({"computeResources": managed(type="FARGATE", instanceTypes=["c5"])}, "not applicable"),
        ({"computeResources": managed(allocationStrategy="SPOT_CAPACITY_OPTIMIZED")}, "SPOT only"),
        ({"unmanagedvCpus": 3}, "only supported when the type is UNMANAGED"),
        ({"type": "UNMANAGED"}, "should not be given for an UNMANAGED"),
        ({"eksConfiguration": {"eksClusterArn": "a"}}, "EKS"),
        ({"state": "ON"}, "state should be"),
    ],
)
def test_environments_that_cannot_be(change: Change, members: dict[str, Any], words: str) -> None:
    base = {
        "computeEnvironmentName": "e",
        "type": "MANAGED",
        "computeResources": managed(),
    }
    with pytest.raises(Refused, match=words):
        change("CreateComputeEnvironment", **{**base, **members})


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"jobQueueName": ""}, "jobQueueName should match"),
        ({"priority": 1001}, "priority should be from 0 to 1000"),
        ({"computeEnvironmentOrder": []}, "at least one"),
        ({"computeEnvironmentOrder": order("nowhere")}, "ComputeEnvironment nowhere not found"),
        ({"computeEnvironmentOrder": order("local", "local")}, "more than once"),
        ({"computeEnvironmentOrder": order("a", "b", "c", "d")}, "at most 3"),
        ({"computeEnvironmentOrder": order("local", "fargate")}, "can't be mixed"),
        ({"schedulingPolicyArn": "nope"}, "SchedulingPolicy nope not found"),
        ({"jobQueueType": "SAGEMAKER_TRAINING"}, "service jobs"),
        (
            {
                "jobStateTimeLimitActions": [
                    {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 599, "action": "CANCEL"}
                ]
            },
            "from 600 to 86400",
        ),
        (
            {
                "jobStateTimeLimitActions": [
                    {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "NO"}
                ]
            },
            "should be CANCEL",
        ),
    ],
)
def test_queues_that_cannot_be(change: Change, members: dict[str, Any], words: str) -> None:
    change(
        "CreateComputeEnvironment",
        computeEnvironmentName="fargate",
        type="MANAGED",
        computeResources=managed(type="FARGATE"),
    )
    base = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order("local")}
    with pytest.raises(Refused, match=words):
        change("CreateJobQueue", **{**base, **members})


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"shareDecaySeconds": 604_801}, "shareDecaySeconds"),
        ({"computeReservation": 100}, "computeReservation"),
        ({"shareDistribution": [{"shareIdentifier": "a-b"}]}, "letters and numbers"),
        (
            {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1000}]},
            "weightFactor",
        ),
        (
            {"shareDistribution": [{"shareIdentifier": "a*"}, {"shareIdentifier": "ab"}]},
            "a\\* and ab overlap",
        ),
    ],
)
def test_policies_that_cannot_be(change: Change, rule: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        change("CreateSchedulingPolicy", name="p", fairsharePolicy=rule)


def test_consumables_are_counted(registry: Registry, change: Change) -> None:
    change("CreateConsumableResource", consumableResourceName="db", totalQuantity=3)

    def update(operation: str, quantity: int, **more: Any) -> int:
        reply = change(
            "UpdateConsumableResource",
            consumableResource="db",
            operation=operation,
            quantity=quantity,
            **more,
        )
        return int(reply["totalQuantity"])

    assert update("ADD", 2) == 5
    assert update("REMOVE", 4) == 1
    assert update("SET", 10) == 10
    with pytest.raises(Refused, match="can't be removed"):
        update("REMOVE", 11)
    with pytest.raises(Refused, match="SET, ADD or REMOVE"):
        update("DOUBLE", 1)
    assert update("ADD", 1, clientToken="t") == 11
    assert update("ADD", 1, clientToken="t") == 11
    with pytest.raises(Refused, match="clientToken"):
        update("ADD", 2, clientToken="t")
    nine_hours = 1_700_000_000_000 + 9 * 3_600_000
    assert update("ADD", 2, clientToken="t", wall_ms=nine_hours) == 13
    registry.take_touched()
    registry.spend("db", 3)
    assert registry.resources.consumables["db"].total == 10
    assert registry.take_touched().consumables == set(), "the scheduler told, it knows"
