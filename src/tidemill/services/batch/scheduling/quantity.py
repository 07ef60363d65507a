"""Amounts of vCPU, memory and GPUs, compared and put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Environment


def vcpus(cpu_milli: int) -> str:
    """Thousandths of a vCPU as people write them: 2, 0.25."""
    whole, rest = divmod(cpu_milli, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)


def count(number: int, noun: str) -> str:
    """A number and its noun: 1 job, 2 jobs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class Amounts:
    """So much of each kind; a kind is called by its unit."""

    KINDS: ClassVar[tuple[str, ...]] = ("vCPU", "MiB", "GPU")

    cpu_milli: int
    memory_mib: int
    gpus: int

    @classmethod
    def of_request(cls, request: Request) -> Amounts:
        """What a job asks for."""
        return cls(request.cpu_milli, request.memory_mib, request.gpus)

    @classmethod
    def of_host(cls, request: Request) -> Amounts:
        """What it takes from all environments on the same host."""
        return cls(0, request.memory_mib, request.gpus)

    @classmethod
    def of_total(cls, environment: Environment) -> Amounts:
        """What an environment has in all."""
        spec = environment.spec
        return cls(spec.cpu_milli, spec.memory_mib, spec.gpus)

    @classmethod
    def of_free(cls, environment: Environment) -> Amounts:
        """What is free there; nothing where more is in use than there is."""
        return cls(
            max(0, environment.cpu_free),
            max(0, environment.host.memory_free),
            max(0, environment.host.gpus_free),
        )

    def less(self, *others: Amounts) -> Amounts:
        """What is left of these without `others`, which may be less than nothing."""
        return Amounts(
            self.cpu_milli - sum(each.cpu_milli for each in others),
            self.memory_mib - sum(each.memory_mib for each in others),
            self.gpus - sum(each.gpus for each in others),
        )

    def beyond(self, have: Amounts) -> list[str]:
        """The kinds of which these are more than `have`; of nothing there is always enough."""
        pairs = zip(self.KINDS, self._values(), have._values(), strict=True)
        return [kind for kind, mine, theirs in pairs if mine and mine > theirs]

    def kinds(self) -> list[str]:
        """The kinds of which there is some."""
        return [kind for kind, value in zip(self.KINDS, self._values(), strict=True) if value]

    def words(self, kinds: Sequence[str], *, bare: bool = False) -> str:
        """`4 vCPU and 512 MiB`; `bare` leaves the unit out where the sentence has named it."""
        return _join([self._number(kind) + ("" if bare else f" {kind}") for kind in kinds])

    def words_of(self, total: Amounts, kinds: Sequence[str], *, bare: bool = False) -> str:
        """`2 of 8 vCPU and 512 of 1024 MiB`."""
        unit = "" if bare else " {kind}"
        return _join(
            [
                f"{self._number(kind)} of {total._number(kind)}" + unit.format(kind=kind)
                for kind in kinds
            ]
        )

    def _values(self) -> tuple[int, int, int]:
        return self.cpu_milli, self.memory_mib, self.gpus

    def _number(self, kind: str) -> str:
        value = self._values()[self.KINDS.index(kind)]
        return vcpus(value) if kind == "vCPU" else str(value)


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
