"""What a job asks for: the resources that it holds from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """Resources of one unit of work: a job, an array's child, or all nodes of a multi-node job.

    `cpu_milli` is thousandths of a vCPU. `consumables` are (resource name, amount), each name
    once, in the order of their names so that equal requests are equal values.
    """

    cpu_milli: int
    memory_mib: int
    gpus: int = 0
    consumables: tuple[tuple[str, int], ...] = ()
