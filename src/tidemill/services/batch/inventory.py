"""What jobs run in, as AWS's Describe and List operations show it: read from memory alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from tidemill.services.batch import consumable, environment, page, policy, queue
from tidemill.services.batch.catalogue import Revision
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.environment import Environment
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind
from tidemill.services.batch.queue import Queue

NAMES_MAX: Final = 100
Params = Mapping[str, Any]
Answer = dict[str, Any]


class Inventory:
    """Answers for one core."""

    def __init__(self, core: BatchCore) -> None:
        self._core = core
        self._registry = core.registry
        self._resources = core.registry.resources
        self._names = core.registry.names

    def queues(self, params: Params) -> Answer:
        """DescribeJobQueues."""
        named = params.get("jobQueues")
        found, token = self._chosen(Kind.QUEUE, named, params, "jobQueues")
        return _answer("jobQueues", [self._queue(each) for each in found], token)

    def environments(self, params: Params) -> Answer:
        """DescribeComputeEnvironments."""
        named = params.get("computeEnvironments")
        found, token = self._chosen(Kind.ENVIRONMENT, named, params, "computeEnvironments")
        shown = [self._environment(each) for each in found]
        return _answer("computeEnvironments", shown, token)

    def policies(self, params: Params) -> Answer:
        """DescribeSchedulingPolicies."""
        found, _ = self._chosen(Kind.POLICY, params["arns"] or [""], params, "arns")
        shown = [policy.described(p, self._names.arn(Kind.POLICY, p.name)) for p in found]
        return {"schedulingPolicies": shown}

    def policy_list(self, params: Params) -> Answer:
        """ListSchedulingPolicies."""
        found, token = self._chosen(Kind.POLICY, None, params, "")
        shown = [{"arn": self._names.arn(Kind.POLICY, each.name)} for each in found]
        return _answer("schedulingPolicies", shown, token)

    def consumable(self, params: Params) -> Answer:
        """DescribeConsumableResource."""
        member = "consumableResource"
        found = self._resources.existing(Kind.CONSUMABLE, params[member], member)
        arn = self._names.arn(Kind.CONSUMABLE, found.name)
        return consumable.described(found, arn, self._core.scheduler.consumable_in_use(found.name))

    def consumable_list(self, params: Params) -> Answer:
        """ListConsumableResources."""
        matches = _name_filter(params.get("filters") or [])
        found, token = self._chosen(Kind.CONSUMABLE, None, params, "", matches)
        shown = [
            consumable.summary(
                each,
                self._names.arn(Kind.CONSUMABLE, each.name),
                self._core.scheduler.consumable_in_use(each.name),
            )
            for each in found
        ]
        return _answer("consumableResources", shown, token)

    def definitions(self, params: Params) -> Answer:
        """DescribeJobDefinitions."""
        catalogue = self._registry.catalogue
        named = params.get("jobDefinitions")
        token = None
        found: Iterable[Revision]
        if named:
            for other in ("jobDefinitionName", "status", "maxResults", "nextToken"):
                if params.get(other) is not None:
                    raise Refused(f"jobDefinitions can't be used together with {other}.")
            _check_count(named, "jobDefinitions")
            found = catalogue.named(named)
        else:
            found, token = self._definition_page(params)
        return _answer("jobDefinitions", [catalogue.described(each) for each in found], token)

    def tags(self, kind: Kind, name: str) -> dict[str, str]:
        """The tags of anything but a job."""
        if kind is Kind.DEFINITION:
            catalogue = self._registry.catalogue
            found: dict[str, str] = catalogue.described(catalogue.get(name))["tags"]
            return found
        tags: dict[str, str] = self._resources.existing(kind, name, "resourceArn").tags
        return tags

    def _definition_page(self, params: Params) -> tuple[list[Revision], str | None]:
        name, status = params.get("jobDefinitionName"), params.get("status")
        limit = page.size(params)
        after = page.place(params, "definitions", "", 0)
        every = self._registry.catalogue.after(*after)
        if name:
            catalogue = self._registry.catalogue
            every = (r for r in catalogue.of_name(name) if not after[0] or r.number < after[1])
        if status:
            wanted = status == "ACTIVE"
            every = (r for r in every if r.is_active is wanted and status in _STATUSES)
        found = list(islice(every, limit + 1))
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], page.token("definitions", last.name, last.number)

    def _chosen(
        self,
        kind: Kind,
        named: list[str] | None,
        params: Params,
        member: str,
        matches: Callable[[str], bool] | None = None,
    ) -> tuple[list[Any], str | None]:
        """Those that are named; or a page of all, in the order of their names."""
        if named:
            _check_count(named, member)
            return self._resources.listed(kind, named, member), None
        limit = page.size(params)
        (after,) = page.place(params, kind.value, "")
        every = sorted(self._resources.all_of(kind))
        names = (n for n in every if n > after and (matches is None or matches(n)))
        found = list(islice(names, limit + 1))
        token = page.token(kind.value, found[limit - 1]) if len(found) > limit else None
        return [self._resources.all_of(kind)[name] for name in found[:limit]], token

    def _queue(self, found: Queue) -> Answer:
        names = self._names
        shown: Answer = queue.described(
            found,
            names.arn(Kind.QUEUE, found.name),
            lambda name: names.arn(Kind.ENVIRONMENT, name),
            None if found.policy is None else names.arn(Kind.POLICY, found.policy),
        )
        return shown

    def _environment(self, found: Environment) -> Answer:
        return environment.described(
            found,
            self._names.arn(Kind.ENVIRONMENT, found.name),
            self._names.cluster_arn(f"{found.name}_Batch_{found.uuid}"),
            found.engine in self._registry.engines,
            self._core.scheduler.environment_use(found.name).cpu_milli,
            environment.crowding(
                found, self._resources.environments.values(), self._registry.engines
            ),
        )


_STATUSES: Final = ("ACTIVE", "INACTIVE")


def _answer(member: str, shown: list[Any], token: str | None) -> Answer:
    return {member: shown} if token is None else {member: shown, "nextToken": token}


def _check_count(named: list[str], member: str) -> None:
    if len(named) > NAMES_MAX:
        raise Refused(f"{member}: at most {NAMES_MAX} can be asked for at once; got {len(named)}.")


def _name_filter(filters: list[Mapping[str, Any]]) -> Callable[[str], bool] | None:
    wanted: list[str] = []
    for each in filters:
        if each.get("name") != "CONSUMABLE_RESOURCE_NAME":
            raise Refused(
                f"filters: name should be CONSUMABLE_RESOURCE_NAME; got {each.get('name')!r}."
            )
        wanted += each.get("values") or []
    if not wanted:
        return None
    return lambda name: any(alike(name, pattern) for pattern in wanted)


def alike(name: str, pattern: str) -> bool:
    """Whether a name is the pattern, or begins as one with a trailing `*` does; case apart."""
    if pattern.endswith("*"):
        return name.lower().startswith(pattern[:-1].lower())
    return name.lower() == pattern.lower()
