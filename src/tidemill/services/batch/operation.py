"""The operations that change what jobs run in, one function each, in AWS's words.

Each checks everything that holds between things (an environment in use isn't deleted) before it
changes anything, and answers as AWS does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tidemill.platform.clock import Now
from tidemill.services.batch import consumable, definition, environment, policy, queue, tag
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind
from tidemill.services.batch.queue import Lookup
from tidemill.services.batch.resource import Thing
from tidemill.services.batch.tag import ENGINE_TAG

if TYPE_CHECKING:
    from tidemill.services.batch.registry import Registry

Params = Mapping[str, Any]
Answer = dict[str, Any]

REWRITE_JOB_BODY: Final = "RewriteJobBody"
"""An operation of our own: the `body` of the job `seq`, which has other tags now."""

_MEMBERS: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.ENVIRONMENT: ("computeEnvironmentName", "computeEnvironmentArn"),
    Kind.QUEUE: ("jobQueueName", "jobQueueArn"),
    Kind.POLICY: ("name", "arn"),
    Kind.CONSUMABLE: ("consumableResourceName", "consumableResourceArn"),
}


def create_environment(registry: Registry, params: Params, new_id: str, _now: Now) -> Answer:
    """CreateComputeEnvironment."""
    made = environment.created(params, new_id, registry.engines)
    registry.resources.check_free(Kind.ENVIRONMENT, made.name, registry.limits.environments_max)
    return _kept(registry, Kind.ENVIRONMENT, made)


def update_environment(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """UpdateComputeEnvironment."""
    member = "computeEnvironment"
    found = registry.resources.changeable(Kind.ENVIRONMENT, params[member], member)
    return _kept(registry, Kind.ENVIRONMENT, environment.updated(found, params))


def delete_environment(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """DeleteComputeEnvironment: it must be DISABLED and in no queue."""
    member = "computeEnvironment"
    found = registry.resources.existing(Kind.ENVIRONMENT, params[member], member)
    if found.enabled:
        raise Refused(
            f"Cannot delete, compute environment {found.name} must be DISABLED first, with "
            "UpdateComputeEnvironment."
        )
    users = [each.name for each in registry.resources.queues.values() if each.uses(found.name)]
    if users:
        raise Refused(
            "Cannot delete, found existing JobQueue relationship: compute environment "
            f"{found.name} is used by {', '.join(users[:10])}."
        )
    registry.resources.put(Kind.ENVIRONMENT, replace(found, deleting=True))
    return {}


def create_queue(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """CreateJobQueue."""
    made = queue.created(params, _lookup(registry), registry.limits)
    registry.resources.check_free(Kind.QUEUE, made.name, registry.limits.queues_max)
    return _kept(registry, Kind.QUEUE, made)


def update_queue(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """UpdateJobQueue."""
    found = registry.resources.changeable(Kind.QUEUE, params["jobQueue"], "jobQueue")
    after = queue.updated(found, params, _lookup(registry), registry.limits)
    return _kept(registry, Kind.QUEUE, after)


def delete_queue(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """DeleteJobQueue: it must be DISABLED; its jobs are ended."""
    found = registry.resources.existing(Kind.QUEUE, params["jobQueue"], "jobQueue")
    if found.enabled:
        raise Refused(
            f"Cannot delete, job queue {found.name} must be DISABLED first, with UpdateJobQueue."
        )
    registry.resources.put(Kind.QUEUE, replace(found, deleting=True))
    return {}


def create_policy(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """CreateSchedulingPolicy."""
    made = policy.created(params)
    registry.resources.check_free(Kind.POLICY, made.name)
    return _kept(registry, Kind.POLICY, made)


def update_policy(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """UpdateSchedulingPolicy."""
    found = registry.resources.existing(Kind.POLICY, params["arn"], "arn")
    registry.resources.put(Kind.POLICY, policy.updated(found, params))
    return {}


def delete_policy(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """DeleteSchedulingPolicy, unless a queue follows it."""
    found = registry.resources.existing(Kind.POLICY, params["arn"], "arn")
    users = [q.name for q in registry.resources.queues.values() if q.policy == found.name]
    if users:
        raise Refused(
            "Cannot delete, found existing JobQueue relationship: scheduling policy "
            f"{found.name} is used by {', '.join(users[:10])}."
        )
    registry.resources.drop(Kind.POLICY, found.name)
    return {}


def create_consumable(registry: Registry, params: Params, _id: str, now: Now) -> Answer:
    """CreateConsumableResource."""
    made = consumable.created(params, now.wall_ms)
    registry.resources.check_free(Kind.CONSUMABLE, made.name, registry.limits.consumables_max)
    return _kept(registry, Kind.CONSUMABLE, made)


def update_consumable(registry: Registry, params: Params, _id: str, now: Now) -> Answer:
    """UpdateConsumableResource."""
    member = "consumableResource"
    found = registry.resources.existing(Kind.CONSUMABLE, params[member], member)
    after = consumable.updated(found, params, now.wall_ms)
    return {**_kept(registry, Kind.CONSUMABLE, after), "totalQuantity": after.total}


def delete_consumable(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """DeleteConsumableResource."""
    member = "consumableResource"
    found = registry.resources.existing(Kind.CONSUMABLE, params[member], member)
    registry.resources.drop(Kind.CONSUMABLE, found.name)
    return {}


def register_definition(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """RegisterJobDefinition: always a new revision."""
    return registry.catalogue.register(params)


def deregister_definition(registry: Registry, params: Params, _id: str, now: Now) -> Answer:
    """DeregisterJobDefinition."""
    registry.catalogue.deregister(params["jobDefinition"], now.wall_ms)
    return {}


def tag_resource(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """TagResource, on anything but a job."""
    _retag(registry, params["resourceArn"], lambda tags: tag.added(tags, params["tags"]))
    return {}


def untag_resource(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """UntagResource, on anything but a job."""
    _retag(registry, params["resourceArn"], lambda tags: tag.removed(tags, params["tagKeys"]))
    return {}


def rewrite_job_body(registry: Registry, params: Params, _id: str, _now: Now) -> Answer:
    """Our own: keep what never changes of a job, but for its tags."""
    registry.rewrite_job_body(params["seq"], params["body"])
    return {}


Operation = Callable[["Registry", Params, str, Now], Answer]

OPERATIONS: Final[Mapping[str, Operation]] = {
    "CreateComputeEnvironment": create_environment,
    "UpdateComputeEnvironment": update_environment,
    "DeleteComputeEnvironment": delete_environment,
    "CreateJobQueue": create_queue,
    "UpdateJobQueue": update_queue,
    "DeleteJobQueue": delete_queue,
    "CreateSchedulingPolicy": create_policy,
    "UpdateSchedulingPolicy": update_policy,
    "DeleteSchedulingPolicy": delete_policy,
    "CreateConsumableResource": create_consumable,
    "UpdateConsumableResource": update_consumable,
    "DeleteConsumableResource": delete_consumable,
    "RegisterJobDefinition": register_definition,
    "DeregisterJobDefinition": deregister_definition,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    REWRITE_JOB_BODY: rewrite_job_body,
}


def _kept(registry: Registry, kind: Kind, thing: Thing) -> Answer:
    registry.resources.put(kind, thing)
    name_member, arn_member = _MEMBERS[kind]
    return {name_member: thing.name, arn_member: registry.names.arn(kind, thing.name)}


def _lookup(registry: Registry) -> Lookup:
    def find_environment(text: str, member: str) -> tuple[str, bool]:
        found = registry.resources.changeable(Kind.ENVIRONMENT, text, member)
        return found.name, found.is_fargate

    def find_policy(text: str, member: str) -> str:
        return str(registry.resources.existing(Kind.POLICY, text, member).name)

    return Lookup(find_environment, find_policy)


def _retag(
    registry: Registry, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    kind, name = registry.names.split(arn, "resourceArn")
    if kind is Kind.DEFINITION:
        revision = registry.catalogue.get(name)
        body = definition.decode(revision.body)
        body["tags"] = change(body["tags"])
        registry.catalogue.replace_body(revision, definition.encode(body))
        return
    assert kind is not Kind.JOB, "a job's tags stand in its body"
    found = registry.resources.existing(kind, arn, "resourceArn")
    tags = change(found.tags)
    if kind is Kind.ENVIRONMENT and tags.get(ENGINE_TAG) != found.tags.get(ENGINE_TAG):
        raise Refused(
            f"tags: the engine of compute environment {found.name} is chosen when it is created; "
            f"create another one to use a different {ENGINE_TAG}."
        )
    registry.resources.put(kind, replace(found, tags=tags))
