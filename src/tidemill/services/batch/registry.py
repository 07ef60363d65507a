"""What jobs run in: queues, compute environments, policies, consumables and definitions.

The registry is pure: it is asked to change, decides, keeps the result in memory and says which
rows must be written and which names the scheduler must be told of. What one thing may be is said
in its own module; what holds between them is in `operation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tidemill.platform.clock import Now
from tidemill.platform.limit import Limits
from tidemill.platform.store import Write
from tidemill.services.batch import environment, operation, registry_store
from tidemill.services.batch.catalogue import Catalogue
from tidemill.services.batch.environment import DEFAULT_ENGINE, Environment, Offer
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.policy import Policy
from tidemill.services.batch.queue import Queue
from tidemill.services.batch.registry_store import Rows
from tidemill.services.batch.resource import Resources, Touched
from tidemill.services.batch.scheduling.spec import EnvironmentSpec, FairShare, QueueSpec
from tidemill.services.batch.tag import ENGINE_TAG

LOCAL_ENVIRONMENT: Final = "local"
DEFAULT_QUEUE: Final = "default"
FAIR: Final = "fair"
"""The name of the queue in which tenants share fairly, and of the policy that it follows."""
_FAIR_DECAY_S: Final = 600
_PRIORITY: Final = 1
_FIRST: Final = ""
Params = Mapping[str, Any]


class Registry:
    """All that there is, of one account in one region."""

    def __init__(self, names: Names, limits: Limits, engines: Mapping[str, Offer]) -> None:
        self.names = names
        self.limits = limits
        self.engines = engines
        self.resources = Resources(names)
        self.catalogue = Catalogue(names, limits)
        self._job_bodies: dict[int, bytes] = {}

    def restore(self, stored: Rows) -> None:
        """Take in what the database holds; everything counts as touched.

        Environments that are as large as the machine follow it, should it be another one now.
        """
        self.resources.restore(stored.resources)
        for each in list(self.resources.environments.values()):
            self.resources.put(Kind.ENVIRONMENT, environment.fitted(each, self.engines))
        self.catalogue.restore(stored.revisions)

    def found(self, new_id: str) -> None:
        """Make what a server begins with: environment `local`, queues `default` and `fair`.

        Whoever deletes them doesn't get them back. A server that was founded before there was a
        queue `fair` is given it at its next start, unless the name is taken.
        """
        if _FIRST not in self.resources.founded:
            self.resources.mark_founded(_FIRST)
            self._found_default(new_id)
        if FAIR not in self.resources.founded:
            self.resources.mark_founded(FAIR)
            self._found_fair()

    def _found_default(self, new_id: str) -> None:
        local = Environment(
            name=LOCAL_ENVIRONMENT,
            uuid=new_id,
            managed=True,
            resources={"type": "EC2", "minvCpus": 0, "instanceTypes": ["optimal"]},
            tags={ENGINE_TAG: DEFAULT_ENGINE},
            whole_host=True,
        )
        self.resources.put(Kind.ENVIRONMENT, environment.fitted(local, self.engines))
        self._found_queue(DEFAULT_QUEUE, None)

    def _found_fair(self) -> None:
        resources = self.resources
        local = resources.environments.get(LOCAL_ENVIRONMENT)
        if FAIR in resources.queues or local is None or local.deleting:
            return
        if FAIR not in resources.policies:
            rule = FairShare(decay_s=_FAIR_DECAY_S)
            resources.put(Kind.POLICY, Policy(name=FAIR, fair_share=rule))
        self._found_queue(FAIR, FAIR)

    def _found_queue(self, name: str, policy: str | None) -> None:
        environments = ((1, LOCAL_ENVIRONMENT),)
        made = Queue(name=name, priority=_PRIORITY, environments=environments, policy=policy)
        self.resources.put(Kind.QUEUE, made)

    def change(self, name: str, params: Params, new_id: str, now: Now) -> dict[str, Any]:
        """Carry out the AWS operation `name` and give its answer.

        Raises `Refused`, and nothing is changed then. `new_id` is a fresh UUID for what is
        created.
        """
        return operation.OPERATIONS[name](self, params, new_id, now)

    def take_writes(self) -> list[Write]:
        """The rows changed since this was called last."""
        bodies, self._job_bodies = self._job_bodies, {}
        changed = self.resources.take_changed()
        return registry_store.writes(changed, self.catalogue.take_changed(), bodies)

    def take_touched(self) -> Touched:
        """Names to tell the scheduler of since this was called last."""
        return self.resources.take_touched()

    def environment_spec(self, name: str) -> EnvironmentSpec | None:
        """The environment as the scheduler sees it; None when it is gone."""
        found = self.resources.environments.get(name)
        return None if found is None else environment.spec(found, self.engines)

    def queue_spec(self, name: str) -> QueueSpec | None:
        """The queue as the scheduler sees it; None when it is gone."""
        found = self.resources.queues.get(name)
        if found is None:
            return None
        rule = None if found.policy is None else self.resources.policies[found.policy].fair_share
        return QueueSpec(
            name=name,
            priority=found.priority,
            environments=tuple(each for _, each in found.environments),
            policy=rule,
            enabled=found.enabled,
        )

    @property
    def deleting(self) -> list[tuple[Kind, str]]:
        """Queues and environments that go as soon as nothing of them is left.

        The core ends the jobs of such a queue, waits for what runs in such an environment, and
        calls `forget` then.
        """
        kinds = (
            (Kind.QUEUE, self.resources.queues),
            (Kind.ENVIRONMENT, self.resources.environments),
        )
        return [(kind, t.name) for kind, all_ in kinds for t in all_.values() if t.deleting]

    def forget(self, kind: Kind, name: str) -> None:
        """Let go of a queue or an environment that was being deleted."""
        self.resources.drop(kind, name)

    def spend(self, name: str, quantity: int) -> None:
        """An attempt used up `quantity` of a NON_REPLENISHABLE resource, for good.

        The scheduler has told, so it isn't told of it again.
        """
        found = self.resources.consumables.get(name)
        if found is not None:
            self.resources.put_untouched(replace(found, total=max(0, found.total - quantity)))

    # What a submission looks up (`submission.Directory`).

    def queue_for(self, text: str) -> Queue:
        """The queue of that name or ARN, if it takes jobs; refuses otherwise."""
        found = self.resources.queues.get(text)
        if found is None:
            name = self.names.plain(Kind.QUEUE, text, "jobQueue")
            found = self.resources.queues.get(name)
            if found is None:
                raise Refused(f"JobQueue {text[:200]} not found. Create it first.")
        if not found.enabled or found.deleting:
            raise Refused(
                f"JobQueue {found.name} is DISABLED and takes no jobs. Enable it with "
                "UpdateJobQueue, or choose another one."
            )
        return found

    def definition_for(self, text: str) -> tuple[str, str, bytes]:
        """Name, ARN and stored form of an ACTIVE definition; refuses otherwise."""
        found = self.catalogue.usable(text)
        return found.name, self.catalogue.arn(found), found.body

    def consumable_for(self, text: str) -> str:
        """The name of a consumable resource; refuses what there is not."""
        found = self.resources.existing(Kind.CONSUMABLE, text, "consumableResource")
        return str(found.name)

    def rewrite_job_body(self, seq: int, body: bytes) -> None:
        """A job was given other tags, which stand in its body."""
        self._job_bodies[seq] = body
