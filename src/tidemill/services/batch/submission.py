"""SubmitJob: from AWS's words to the core's command, with everything checked and merged.

This is the hot path of a busy server: what depends on the definition alone is worked out once
per revision and kept (`_plain`), so that a plain submission merges next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from tidemill.platform.limit import Limits
from tidemill.services.batch import demand, extension, strategy, tag, work
from tidemill.services.batch.command import Dependency, DependencyType, SubmitJob
from tidemill.services.batch.definition import TEMPLATES_KEPT, Template, priority_checked, template
from tidemill.services.batch.error import Refused
from tidemill.services.batch.job_id import JobId
from tidemill.services.batch.name import check_job_name, check_share
from tidemill.services.batch.node import NodeSet
from tidemill.services.batch.size import check_submission
from tidemill.services.batch.work import Work

ARRAY_SIZE_MIN: Final = 2
_OVERRIDES: Final = frozenset(
    ("containerOverrides", "ecsPropertiesOverride", "eksPropertiesOverride", "nodeOverrides")
)
_encode = msgspec.json.Encoder().encode


class Place(Protocol):
    """What a submission must know of its queue."""

    @property
    def name(self) -> str:
        """The queue's name."""

    @property
    def is_fair_share(self) -> bool:
        """Whether it has a fair-share policy, so that jobs need a share identifier."""


class Directory(Protocol):
    """Where a submission looks up what it names; the registry is one."""

    def queue_for(self, text: str) -> Place:
        """The queue of that name or ARN, if it takes jobs; refuses otherwise."""

    def definition_for(self, text: str) -> tuple[str, str, bytes]:
        """Name, ARN and stored form of an ACTIVE definition; refuses otherwise."""

    def consumable_for(self, text: str) -> str:
        """The name of a consumable resource; refuses what there is not."""


def submission(
    directory: Directory, params: Mapping[str, Any], job_id: str, limits: Limits
) -> SubmitJob:
    """The command that SubmitJob's `params` stand for, or a refusal that names the member."""
    check_job_name(params["jobName"])
    queue = directory.queue_for(params["jobQueue"])
    name, arn, stored = directory.definition_for(params["jobDefinition"])
    base = template(stored)
    size = _array_size(params, base, limits)
    dependencies = _dependencies(params.get("dependsOn") or (), size, limits)
    body: dict[str, Any] = dict(base.encoded)
    parameters = base.parameters
    if params.get("parameters"):
        parameters = body["parameters"] = {**parameters, **params["parameters"]}
    check_submission(base, params, parameters, limits)
    made = _work(directory, params, base, stored, parameters, body)
    retry = base.retry
    if params.get("retryStrategy"):
        retry = strategy.retry_strategy(params["retryStrategy"], limits, "retryStrategy")
        body["retryStrategy"] = strategy.shown(retry)
    timeout_s = strategy.timeout_s(params.get("timeout"), limits, "timeout")
    if timeout_s is not None:
        body["timeout"] = {"attemptDurationSeconds": timeout_s}
    priority = priority_checked(
        params.get("schedulingPriorityOverride"), "schedulingPriorityOverride"
    )
    share = _share(params, queue)
    if share:
        body["schedulingPriority"] = base.priority if priority is None else priority
    _tell_rest(params, body, size)
    return SubmitJob(
        job_id=job_id,
        name=params["jobName"],
        queue=queue.name,
        definition_name=name,
        definition_arn=arn,
        request=made.request,
        body=_encode(body),
        array_size=size,
        nodes=made.nodes,
        dependencies=dependencies,
        retry=retry,
        timeout_s=base.timeout_s if timeout_s is None else timeout_s,
        share=share,
        priority=base.priority if priority is None else priority,
        stop_grace_s=made.stop_grace_s,
        log_group=made.log_group,
        log_stream_prefix=made.log_stream_prefix,
        extension=extension.stated(params.get("tags") or {}),
    )


def _work(
    directory: Directory,
    params: Mapping[str, Any],
    base: Template,
    stored: bytes,
    parameters: Mapping[str, str],
    body: dict[str, Any],
) -> Work:
    """What will run; tells `body` of it."""
    demands = base.demands
    if params.get("consumableResourcePropertiesOverride"):
        member = "consumableResourcePropertiesOverride"
        demands = {**base.demands, **demand.checked(params[member], member)}
    if demands:
        shown = [{"consumableResource": name, "quantity": q} for name, q in demands.items()]
        body["consumableResourceProperties"] = {"consumableResourceList": shown}
    if params.get("parameters") or demands or not _OVERRIDES.isdisjoint(params):
        made = work.of(base, params, parameters, demands, directory.consumable_for)
    else:
        made = _plain(stored) or work.of(base, params, parameters, {}, directory.consumable_for)
    body.update(made.shown)
    return made


@lru_cache(maxsize=TEMPLATES_KEPT)
def _plain(stored: bytes) -> Work | None:
    """The work of a submission that overrides nothing; None if it asks for consumables."""
    base = template(stored)
    asked: list[str] = []

    def resolve(text: str) -> str:
        asked.append(text)
        return text

    made = work.of(base, {}, base.parameters, {}, resolve)
    return None if asked else made


def _array_size(params: Mapping[str, Any], base: Template, limits: Limits) -> int | None:
    size: int | None = (params.get("arrayProperties") or {}).get("size")
    if size is None:
        return None
    if not ARRAY_SIZE_MIN <= size <= limits.array_size_max:
        raise Refused(
            f"arrayProperties.size should be from {ARRAY_SIZE_MIN} to {limits.array_size_max}; "
            f"got {size}."
        )
    if isinstance(base.work, NodeSet):
        raise Refused("arrayProperties: a multi-node parallel job can't be an array job.")
    return size


def _dependencies(stated: Any, size: int | None, limits: Limits) -> tuple[Dependency, ...]:
    if len(stated) > limits.dependencies_max:
        raise Refused(
            f"dependsOn: a job can depend upon at most {limits.dependencies_max} jobs; "
            f"got {len(stated)}."
        )
    return tuple(dict.fromkeys(_dependency(entry, size) for entry in stated))


def _dependency(entry: Mapping[str, str], size: int | None) -> Dependency:
    job_id, kind = entry.get("jobId"), entry.get("type")
    if job_id and JobId.parse(job_id) is None:
        raise Refused(f"dependsOn.jobId: {job_id[:100]!r} is not the id of a job.")
    if kind is None:
        if not job_id:
            raise Refused("dependsOn.jobId must be given, except with the type SEQUENTIAL.")
        return Dependency(job_id)
    if kind not in set(DependencyType):
        raise Refused(f"dependsOn.type should be N_TO_N or SEQUENTIAL; got {kind[:50]!r}.")
    if size is None:
        raise Refused(f"dependsOn.type {kind} is for array jobs only.")
    if kind == DependencyType.SEQUENTIAL and job_id:
        raise Refused("dependsOn.jobId should not be given with the type SEQUENTIAL.")
    if kind == DependencyType.N_TO_N and not job_id:
        raise Refused("dependsOn.jobId must be given with the type N_TO_N.")
    return Dependency(job_id or None, DependencyType(kind))


def _share(params: Mapping[str, Any], queue: Place) -> str:
    identifier: str | None = params.get("shareIdentifier")
    if not identifier:
        if queue.is_fair_share:
            raise Refused(
                f"shareIdentifier must be specified: job queue {queue.name} has a fair-share "
                "scheduling policy."
            )
        return ""
    if not queue.is_fair_share:
        raise Refused(
            f"shareIdentifier should not be specified: job queue {queue.name} doesn't have a "
            "fair-share scheduling policy. Submit to one that has, such as `fair`, which every "
            "server begins with."
        )
    check_share(identifier, "shareIdentifier")
    return identifier


def _tell_rest(params: Mapping[str, Any], body: dict[str, Any], size: int | None) -> None:
    if params.get("dependsOn"):
        body["dependsOn"] = params["dependsOn"]
    if params.get("tags"):
        body["tags"] = tag.checked(params["tags"])
    if params.get("propagateTags") is not None:
        body["propagateTags"] = params["propagateTags"]
    if size is not None:
        body["arrayProperties"] = {"size": size}
