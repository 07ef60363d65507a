"""Compute environments: what may be created, and how large they are for the scheduler.

An environment runs its jobs on an engine, which it chooses by the tag `tidemill:engine`. What
AWS asks about EC2 (subnets, roles, instance types) is recorded and means nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidemill.services.batch import tag
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import check_name
from tidemill.services.batch.scheduling.quantity import vcpus
from tidemill.services.batch.scheduling.spec import EnvironmentSpec
from tidemill.services.batch.tag import ENGINE_TAG

DEFAULT_ENGINE: Final = "process"
VCPUS_MAX: Final = 1_000_000
_FARGATE: Final = ("FARGATE", "FARGATE_SPOT")
_NOT_ON_FARGATE: Final = (
    *("minvCpus", "desiredvCpus", "instanceTypes", "imageId", "ec2KeyPair", "instanceRole"),
    *("tags", "placementGroup", "bidPercentage", "spotIamFleetRole", "launchTemplate"),
    *("ec2Configuration", "scalingPolicy", "allocationStrategy"),
)
_UNSET: Final[tuple[object, ...]] = (None, "", 0, [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What an engine has to give, as it told at start."""

    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    look_ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A compute environment as it is stored; `resources` are AWS's computeResources.

    `whole_host` says that it is as large as its engine's machine, until somebody sets maxvCpus.
    """

    name: str
    uuid: str
    managed: bool
    enabled: bool = True
    resources: dict[str, Any] = field(default_factory=dict)
    unmanaged_vcpus: int | None = None
    recorded: dict[str, Any] = field(default_factory=dict)
    """serviceRole, updatePolicy, context and ecsSettings, as given."""
    tags: dict[str, str] = field(default_factory=dict)
    whole_host: bool = False
    deleting: bool = False

    @property
    def engine(self) -> str:
        """The name of the engine that its jobs run on."""
        return self.tags.get(ENGINE_TAG, DEFAULT_ENGINE)

    @property
    def host(self) -> str | None:
        """The machine that it shares with others; of other engines it isn't known to be one."""
        return self.engine if self.engine == DEFAULT_ENGINE else None

    @property
    def is_fargate(self) -> bool:
        """Whether it is of one of AWS's Fargate types."""
        return self.resources.get("type") in _FARGATE


def created(params: Mapping[str, Any], uuid: str, engines: Mapping[str, Offer]) -> Environment:
    """The environment that CreateComputeEnvironment asks for."""
    check_name(params["computeEnvironmentName"], "computeEnvironmentName")
    if params.get("eksConfiguration"):
        raise Refused("eksConfiguration: Amazon EKS is not part of Tidemill; leave it out.")
    managed = params["type"] == "MANAGED"
    if not managed and params["type"] != "UNMANAGED":
        raise Refused(f"type should be MANAGED or UNMANAGED; got {params['type'][:50]!r}.")
    environment = Environment(
        name=params["computeEnvironmentName"],
        uuid=uuid,
        managed=managed,
        enabled=_enabled(params.get("state")),
        resources=dict(params.get("computeResources") or {}),
        unmanaged_vcpus=params.get("unmanagedvCpus"),
        recorded=_recorded(params),
        tags=tag.checked(params.get("tags")),
    )
    _check(environment)
    if environment.engine not in engines:
        raise Refused(
            f"tags: {ENGINE_TAG} names the engine {environment.engine[:50]!r}, which isn't there; "
            f"there is {', '.join(sorted(engines))}."
        )
    return environment


def fitted(environment: Environment, engines: Mapping[str, Offer]) -> Environment:
    """The environment that is as large as its engine's machine, fitted to that machine anew."""
    offer = engines.get(environment.engine)
    if not environment.whole_host or offer is None:
        return environment
    vcpus = max(1, offer.cpu_milli // 1000)
    return replace(environment, resources={**environment.resources, "maxvCpus": vcpus})


def updated(environment: Environment, params: Mapping[str, Any]) -> Environment:
    """`environment` as UpdateComputeEnvironment changes it: members not given stay as they are."""
    given = params.get("computeResources") or {}
    if given and not environment.managed:
        raise Refused("computeResources should not be given for an UNMANAGED environment.")
    after = replace(
        environment,
        enabled=_enabled(params.get("state"), environment.enabled),
        resources={**environment.resources, **given},
        unmanaged_vcpus=params.get("unmanagedvCpus", environment.unmanaged_vcpus),
        recorded={**environment.recorded, **_recorded(params)},
        whole_host=environment.whole_host and "maxvCpus" not in given,
    )
    _check(after)
    return after


def spec(environment: Environment, engines: Mapping[str, Offer]) -> EnvironmentSpec:
    """The environment as the scheduler sees it."""
    offer = engines.get(environment.engine)
    if offer is None:
        return EnvironmentSpec(name=environment.name, cpu_milli=0, memory_mib=0, valid=False)
    cpu_milli = offer.cpu_milli
    if environment.managed and not environment.whole_host:
        cpu_milli = environment.resources["maxvCpus"] * 1000
    elif not environment.managed and environment.unmanaged_vcpus is not None:
        cpu_milli = environment.unmanaged_vcpus * 1000
    return EnvironmentSpec(
        name=environment.name,
        cpu_milli=cpu_milli,
        memory_mib=offer.memory_mib,
        gpus=offer.gpus,
        host=environment.host,
        enabled=environment.enabled and not environment.deleting,
        look_ahead=offer.look_ahead,
    )


def crowding(
    environment: Environment, others: Iterable[Environment], engines: Mapping[str, Offer]
) -> str:
    """That it, with `others`, may run more vCPUs at once than its machine has; or nothing.

    That is no error: jobs that mostly wait may well be more than there are CPUs.
    """
    offer = engines.get(environment.engine)
    if offer is None or not environment.enabled or environment.host is None:
        return ""
    alike = [each for each in others if each.host == environment.host and each.enabled]
    sizes = {each.name: spec(each, engines).cpu_milli for each in (environment, *alike)}
    total_milli = sum(sizes.values())
    if total_milli <= offer.cpu_milli:
        return ""
    del sizes[environment.name]
    company = f"with {', '.join(sorted(sizes)[:5])} it" if sizes else "it"
    return (
        f"; {company} may run jobs of {vcpus(total_milli)} vCPUs at once on a machine of "
        f"{vcpus(offer.cpu_milli)}"
    )


def described(
    environment: Environment,
    arn: str,
    cluster_arn: str,
    valid: bool,
    need_milli: int,
    crowded: str = "",
) -> dict[str, Any]:
    """The environment as DescribeComputeEnvironments shows it.

    `need_milli` is in use now; `crowded` is what `crowding` says.
    """
    status, reason = "VALID", f"ComputeEnvironment Healthy{crowded}"
    if environment.deleting:
        status, reason = "DELETING", "Waits for the end of what still runs in it."
    elif not valid:
        status = "INVALID"
        reason = f"The engine {environment.engine!r} isn't there; jobs wait until it is."
    shown = {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": arn,
        "ecsClusterArn": cluster_arn,
        "tags": environment.tags,
        "type": "MANAGED" if environment.managed else "UNMANAGED",
        "state": "ENABLED" if environment.enabled else "DISABLED",
        "status": status,
        "statusReason": reason,
        "containerOrchestrationType": "ECS",
        "uuid": environment.uuid,
        **environment.recorded,
    }
    if environment.managed:
        shown["computeResources"] = _described_resources(environment, need_milli)
    elif environment.unmanaged_vcpus is not None:
        shown["unmanagedvCpus"] = environment.unmanaged_vcpus
    return shown


def _described_resources(environment: Environment, need_milli: int) -> dict[str, Any]:
    resources = dict(environment.resources)
    if not environment.is_fargate:
        minimum = resources.setdefault("minvCpus", 0)
        need = -(-need_milli // 1000)
        resources["desiredvCpus"] = max(minimum, min(need, resources["maxvCpus"]))
    return resources


def _check(environment: Environment) -> None:
    if environment.managed:
        if environment.unmanaged_vcpus is not None:
            raise Refused("unmanagedvCpus is only supported when the type is UNMANAGED.")
        if not environment.resources:
            raise Refused("computeResources must be provided for a MANAGED environment.")
        _check_resources(environment.resources)
        return
    if environment.resources:
        raise Refused("computeResources should not be given for an UNMANAGED environment.")
    vcpus = environment.unmanaged_vcpus
    if vcpus is not None and not 0 <= vcpus <= VCPUS_MAX:
        raise Refused(f"unmanagedvCpus should be from 0 to {VCPUS_MAX}; got {vcpus}.")


def _check_resources(resources: Mapping[str, Any]) -> None:
    kind, maximum = resources["type"], resources["maxvCpus"]
    if not 1 <= maximum <= VCPUS_MAX:
        raise Refused(f"computeResources.maxvCpus should be from 1 to {VCPUS_MAX}; got {maximum}.")
    if kind in _FARGATE:
        for name in _NOT_ON_FARGATE:
            if resources.get(name) not in _UNSET:
                raise Refused(f"computeResources.{name} is not applicable for {kind}.")
        return
    minimum = resources.get("minvCpus") or 0
    desired = resources.get("desiredvCpus")
    if not 0 <= minimum <= maximum:
        raise Refused(
            f"computeResources.minvCpus should be from 0 to maxvCpus, {maximum}; got {minimum}."
        )
    if desired is not None and not minimum <= desired <= maximum:
        raise Refused(
            f"computeResources.desiredvCpus should be from minvCpus to maxvCpus, {minimum} to "
            f"{maximum}; got {desired}."
        )
    strategy = resources.get("allocationStrategy") or ""
    if strategy.startswith("SPOT_") and kind != "SPOT":
        raise Refused(f"computeResources.allocationStrategy {strategy} is for type SPOT only.")
    bid = resources.get("bidPercentage")
    if bid is not None and not 0 <= bid <= 100:
        raise Refused(f"computeResources.bidPercentage should be from 0 to 100; got {bid}.")


def _recorded(params: Mapping[str, Any]) -> dict[str, Any]:
    names = ("serviceRole", "updatePolicy", "context", "ecsSettings")
    return {name: params[name] for name in names if params.get(name) is not None}


def _enabled(state: str | None, default: bool = True) -> bool:
    if state not in (None, "ENABLED", "DISABLED"):
        raise Refused(f"state should be ENABLED or DISABLED; got {state[:50]!r}.")
    return default if state is None else state == "ENABLED"
