"""How much a container needs: vCPUs, memory and GPUs, in AWS's old and new spelling.

The old one is the members `vcpus` and `memory`, the new one `resourceRequirements`. Fractions of
a vCPU are accepted everywhere; AWS knows them on Fargate only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.services.batch.error import Refused

MEMORY_MIN_MIB: Final = 4
CPU_MAX_MILLI: Final = 1_000_000_000
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")

_FARGATE_MEMORY_MIB: Final[Mapping[int, frozenset[int]]] = {
    250: frozenset({512, 1024, 2048}),
    500: frozenset(range(1024, 4096 + 1, 1024)),
    1000: frozenset(range(2048, 8192 + 1, 1024)),
    2000: frozenset(range(4096, 16384 + 1, 1024)),
    4000: frozenset(range(8192, 30720 + 1, 1024)),
    8000: frozenset(range(16384, 61440 + 1, 4096)),
    16000: frozenset(range(32768, 122880 + 1, 8192)),
    32000: frozenset({61440, 122880, 249856}),
}
"""What AWS offers on Fargate: memory by vCPU (API reference, ResourceRequirement)."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The needs of one container; None where nothing was said."""

    cpu_milli: int | None = None
    memory_mib: int | None = None
    gpus: int | None = None

    def over(self, other: Needs) -> Needs:
        """These needs where they say something, else `other`'s."""
        return Needs(
            other.cpu_milli if self.cpu_milli is None else self.cpu_milli,
            other.memory_mib if self.memory_mib is None else self.memory_mib,
            other.gpus if self.gpus is None else self.gpus,
        )


def parse(requirements: Sequence[Mapping[str, str]] | None, member: str) -> Needs:
    """The needs that `resourceRequirements` states; each type at most once."""
    found: dict[str, int] = {}
    for requirement in requirements or ():
        kind, value = requirement["type"], requirement["value"]
        if kind in found:
            raise Refused(f"{member}.resourceRequirements: {kind} is given more than once.")
        match kind:
            case "VCPU":
                found[kind] = _cpu_milli(value, member)
            case "MEMORY":
                found[kind] = _whole(kind, value, member, MEMORY_MIN_MIB)
            case "GPU":
                found[kind] = _whole(kind, value, member, 1)
            case _:
                raise Refused(
                    f"{member}.resourceRequirements: type should be VCPU, MEMORY or GPU; "
                    f"got {kind!r}."
                )
    return Needs(found.get("VCPU"), found.get("MEMORY"), found.get("GPU"))


def parse_old(properties: Mapping[str, Any], member: str) -> Needs:
    """The needs that the members `vcpus` and `memory` state."""
    vcpus, memory = properties.get("vcpus"), properties.get("memory")
    if vcpus is not None and not 1 <= vcpus <= CPU_MAX_MILLI // 1000:
        raise Refused(f"{member}.vcpus should be at least 1; got {vcpus}.")
    if memory is not None and not MEMORY_MIN_MIB <= memory < 2**31:
        raise Refused(f"{member}.memory should be at least {MEMORY_MIN_MIB} MiB; got {memory}.")
    return Needs(None if vcpus is None else vcpus * 1000, memory)


def stated(properties: Mapping[str, Any], member: str) -> Needs:
    """The needs of a definition's container: vCPUs and memory must be said once, in one place."""
    new, old = parse(properties.get("resourceRequirements"), member), parse_old(properties, member)
    if new.cpu_milli is not None and old.cpu_milli is not None:
        raise Refused(f"{member}: vCPU is given in both vcpus and resourceRequirements.")
    if new.memory_mib is not None and old.memory_mib is not None:
        raise Refused(f"{member}: memory is given in both memory and resourceRequirements.")
    needs = new.over(old)
    if needs.cpu_milli is None:
        raise Refused(
            f"vCPU is not provided. Give {member}.resourceRequirements an entry of type VCPU."
        )
    if needs.memory_mib is None:
        raise Refused(
            f"Memory is not provided. Give {member}.resourceRequirements an entry of type MEMORY, "
            f"in MiB, at least {MEMORY_MIN_MIB}."
        )
    return needs


def check_fargate(needs: Needs, member: str) -> None:
    """Refuse what Fargate does not offer."""
    if needs.gpus:
        raise Refused(f"{member}.resourceRequirements: GPU is not applicable for Fargate.")
    memory = _FARGATE_MEMORY_MIB.get(needs.cpu_milli or 0)
    if memory is None:
        raise Refused(
            f"{member}.resourceRequirements: Fargate offers 0.25, 0.5, 1, 2, 4, 8, 16 or 32 VCPU; "
            f"got {(needs.cpu_milli or 0) / 1000:g}."
        )
    if needs.memory_mib not in memory:
        raise Refused(
            f"{member}.resourceRequirements: MEMORY {needs.memory_mib} is not offered by Fargate "
            f"with VCPU {(needs.cpu_milli or 0) / 1000:g}; it offers from {min(memory)} "
            f"to {max(memory)} MiB in steps."
        )


def _cpu_milli(value: str, member: str) -> int:
    if not _DECIMAL.fullmatch(value):
        raise Refused(_not_numeric("VCPU", value, member))
    milli = math.ceil(round(float(value) * 1000, 6))
    if not 1 <= milli <= CPU_MAX_MILLI:
        raise Refused(f"{member}.resourceRequirements: VCPU should be above 0; got {value}.")
    return milli


def _whole(kind: str, value: str, member: str, minimum: int) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) >= 2**31:
        raise Refused(_not_numeric(kind, value, member))
    if int(value) < minimum:
        raise Refused(f"{member}.resourceRequirements: {kind} should be at least {minimum}.")
    return int(value)


def _not_numeric(kind: str, value: str, member: str) -> str:
    return (
        f"{member}: Value {value[:50]} for type {kind} in resourceRequirement is not valid. "
        "Please provide a numeric value."
    )
