"""Multi-node jobs: several nodes placed together, whose fate is their main node's.

The main node starts first and the others once it runs. When it ends the others are stopped, and
the job ends, or is tried again as a whole, when all of them have. What becomes of the others
changes nothing. AWS Batch user guide, "Multi-node parallel jobs".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.command import Nodes
from tidemill.services.batch.job import Job, Unit


@dataclass(slots=True, eq=False, kw_only=True)
class Node(Unit):
    """One node of a multi-node job; it has as many attempts as the job has had."""

    cluster: MultiNodeJob
    index: int

    @property
    def key(self) -> str:
        """The job's id, a hash sign, the node's index."""
        return f"{self.cluster.id}#{self.index}"

    @property
    def job(self) -> MultiNodeJob:
        """The whole job."""
        return self.cluster

    @property
    def is_main(self) -> bool:
        """Whether the job fares as this node does."""
        return self.index == self.cluster.shape.main


@dataclass(slots=True, eq=False, kw_only=True)
class MultiNodeJob(Job):
    """The whole job; its own `phase` tells of its main node.

    `nodes` are those that have begun, `main_address` is where they reach the main one. `result`
    is how the main node ended, while others are still being stopped.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    main_address: str = ""
    result: AttemptEnd | None = None

    @property
    def shape(self) -> Nodes:
        """How many nodes there are, and which is the main one."""
        assert self.spec.nodes is not None
        return self.spec.nodes
