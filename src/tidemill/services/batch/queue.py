"""Job queues: what may be created and changed, and how the scheduler sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidemill.platform.limit import Limits
from tidemill.services.batch import tag
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import check_name

PRIORITY_MAX: Final = 1000
TIME_LIMIT_MAX_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """A jobStateTimeLimitAction: the head is cancelled that waited so long for this reason."""

    reason: str
    max_time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A job queue as it is stored; `environments` are (order, name), lowest order first."""

    name: str
    priority: int
    environments: tuple[tuple[int, str], ...]
    enabled: bool = True
    policy: str | None = None
    time_limits: tuple[TimeLimit, ...] = ()
    fargate: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    deleting: bool = False

    @property
    def is_fair_share(self) -> bool:
        """Whether it follows a fair-share policy."""
        return self.policy is not None

    def uses(self, environment: str) -> bool:
        """Whether `environment` is one of its own."""
        return any(name == environment for _, name in self.environments)


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a queue finds what it names; each refuses what there is not."""

    environment: Callable[[str, str], tuple[str, bool]]
    """(name or ARN, member) -> (name, whether it is of a Fargate type)"""
    policy: Callable[[str, str], str]


def created(params: Mapping[str, Any], lookup: Lookup, limits: Limits) -> Queue:
    """The queue that CreateJobQueue asks for."""
    check_name(params["jobQueueName"], "jobQueueName")
    _check_ours(params)
    order = params.get("computeEnvironmentOrder")
    if not order:
        raise Refused("computeEnvironmentOrder must name at least one compute environment.")
    environments, fargate = _environments(order, lookup, limits)
    arn = params.get("schedulingPolicyArn")
    return Queue(
        name=params["jobQueueName"],
        priority=_priority(params["priority"]),
        environments=environments,
        enabled=_enabled(params.get("state"), True),
        policy=lookup.policy(arn, "schedulingPolicyArn") if arn else None,
        time_limits=_time_limits(params.get("jobStateTimeLimitActions") or (), limits),
        fargate=fargate,
        tags=tag.checked(params.get("tags")),
    )


def updated(queue: Queue, params: Mapping[str, Any], lookup: Lookup, limits: Limits) -> Queue:
    """`queue` as UpdateJobQueue changes it: members not given stay as they are."""
    _check_ours(params)
    after = replace(queue, enabled=_enabled(params.get("state"), queue.enabled))
    if params.get("priority") is not None:
        after = replace(after, priority=_priority(params["priority"]))
    if params.get("computeEnvironmentOrder"):
        environments, fargate = _environments(params["computeEnvironmentOrder"], lookup, limits)
        if fargate != queue.fargate:
            raise Refused("computeEnvironmentOrder: EC2 and Fargate can't replace each other.")
        after = replace(after, environments=environments)
    if params.get("schedulingPolicyArn"):
        after = replace(after, policy=_replaced_policy(queue, params, lookup))
    if params.get("jobStateTimeLimitActions") is not None:
        stated = params["jobStateTimeLimitActions"]
        after = replace(after, time_limits=_time_limits(stated, limits))
    return after


def described(queue: Queue, arn: str, arn_of: Callable[[str], str], policy_arn: str | None) -> Any:
    """The queue as DescribeJobQueues shows it; `arn_of` makes an environment's ARN."""
    shown: dict[str, Any] = {
        "jobQueueName": queue.name,
        "jobQueueArn": arn,
        "state": "ENABLED" if queue.enabled else "DISABLED",
        "status": "DELETING" if queue.deleting else "VALID",
        "statusReason": "Its jobs are being ended." if queue.deleting else "JobQueue Healthy",
        "priority": queue.priority,
        "computeEnvironmentOrder": [
            {"order": order, "computeEnvironment": arn_of(name)}
            for order, name in queue.environments
        ],
        "jobQueueType": "ECS_FARGATE" if queue.fargate else "ECS",
        "tags": queue.tags,
        "jobStateTimeLimitActions": [
            {
                "reason": limit.reason,
                "state": "RUNNABLE",
                "maxTimeSeconds": limit.max_time_s,
                "action": "CANCEL",
            }
            for limit in queue.time_limits
        ],
    }
    if policy_arn is not None:
        shown["schedulingPolicyArn"] = policy_arn
    return shown


def _check_ours(params: Mapping[str, Any]) -> None:
    if params.get("serviceEnvironmentOrder") or params.get("jobQueueType") == "SAGEMAKER_TRAINING":
        raise Refused(
            "serviceEnvironmentOrder and jobQueueType SAGEMAKER_TRAINING: service jobs are not "
            "part of Tidemill; use computeEnvironmentOrder."
        )
    if params.get("jobQueueType") == "EKS":
        raise Refused("jobQueueType: Amazon EKS is not part of Tidemill; use ECS.")


def _environments(
    stated: Sequence[Mapping[str, Any]], lookup: Lookup, limits: Limits
) -> tuple[tuple[tuple[int, str], ...], bool]:
    member = "computeEnvironmentOrder"
    if len(stated) > limits.environments_per_queue_max:
        raise Refused(
            f"{member}: a job queue has at most {limits.environments_per_queue_max} compute "
            f"environments; got {len(stated)}."
        )
    found: dict[str, int] = {}
    kinds: set[bool] = set()
    for entry in stated:
        name, fargate = lookup.environment(entry["computeEnvironment"], member)
        if name in found:
            raise Refused(f"{member}: compute environment {name} is given more than once.")
        found[name] = entry["order"]
        kinds.add(fargate)
    if len(kinds) > 1:
        raise Refused(f"{member}: EC2 and Fargate compute environments can't be mixed.")
    order = sorted(((order, name) for name, order in found.items()), key=lambda each: each[0])
    return tuple(order), kinds.pop()


def _replaced_policy(queue: Queue, params: Mapping[str, Any], lookup: Lookup) -> str:
    policy = lookup.policy(params["schedulingPolicyArn"], "schedulingPolicyArn")
    if queue.policy is None:
        raise Refused(
            f"schedulingPolicyArn: job queue {queue.name} was created without a fair-share "
            "scheduling policy, and none can be added; create another queue."
        )
    return policy


def _time_limits(stated: Sequence[Mapping[str, Any]], limits: Limits) -> tuple[TimeLimit, ...]:
    member = "jobStateTimeLimitActions"
    found = []
    for entry in stated:
        seconds = entry["maxTimeSeconds"]
        if not limits.state_time_limit_min_s <= seconds <= TIME_LIMIT_MAX_S:
            raise Refused(
                f"{member}.maxTimeSeconds should be from {limits.state_time_limit_min_s} to "
                f"{TIME_LIMIT_MAX_S}; got {seconds}."
            )
        if entry["action"] != "CANCEL":
            raise Refused(f"{member}.action should be CANCEL; got {entry['action'][:50]!r}.")
        if entry["state"] != "RUNNABLE":
            raise Refused(f"{member}.state should be RUNNABLE; got {entry['state'][:50]!r}.")
        if not entry["reason"]:
            raise Refused(f"{member}.reason must not be empty.")
        found.append(TimeLimit(reason=entry["reason"], max_time_s=seconds))
    return tuple(found)


def _priority(priority: int) -> int:
    if not 0 <= priority <= PRIORITY_MAX:
        raise Refused(f"priority should be from 0 to {PRIORITY_MAX}; got {priority}.")
    return priority


def _enabled(state: str | None, default: bool) -> bool:
    if state not in (None, "ENABLED", "DISABLED"):
        raise Refused(f"state should be ENABLED or DISABLED; got {state[:50]!r}.")
    return default if state is None else state == "ENABLED"
