"""Room: what a compute environment and a consumable resource hold, and who holds it.

Here is the only arithmetic on what is free. It refuses to know queues, order or time beyond the
pace of ends that the look-ahead needs.
"""

from __future__ import annotations

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.lookahead import Pace
from tidemill.services.batch.scheduling.spec import (
    EnvironmentSpec,
    EnvironmentUse,
    Released,
    Waiting,
)


class Environment:
    """A compute environment's room.

    Attempts are inside, holding room, or ahead: handed to the engine, which starts them in order
    as room comes free; they move inside by the same rule here. `*_kept` is what heads of queues
    that go first keep free during one cycle.
    """

    __slots__ = (
        "ahead", "cpu_free", "cpu_kept", "gpus_free", "gpus_kept", "inside", "is_open", "kept_for",
        "memory_free", "memory_kept", "pace", "released", "spec",
    )  # fmt: skip

    def __init__(self, spec: EnvironmentSpec) -> None:
        self.inside = 0
        self.ahead: dict[str, Request] = {}
        self.pace = Pace()
        self.cpu_free = self.memory_free = self.gpus_free = 0
        self.released = Released(environment=spec.name)
        self.spec = EnvironmentSpec(name=spec.name, cpu_milli=0, memory_mib=0)
        self.resize(spec)
        self.forget_kept()

    def resize(self, spec: EnvironmentSpec) -> list[str]:
        """Take on a new size, and say who moves inside; what runs stays, even if it is too much."""
        self.cpu_free += spec.cpu_milli - self.spec.cpu_milli
        self.memory_free += spec.memory_mib - self.spec.memory_mib
        self.gpus_free += spec.gpus - self.spec.gpus
        self.spec = spec
        self.is_open = spec.enabled and spec.valid
        return self._move_inside()

    def fits(self, request: Request) -> bool:
        """Whether `request` could start at once, without taking what is kept or overtaking."""
        return (
            request.cpu_milli <= self.cpu_free - self.cpu_kept
            and request.memory_mib <= self.memory_free - self.memory_kept
            and (not request.gpus or request.gpus <= self.gpus_free - self.gpus_kept)
            and not self.ahead
        )

    def could_hold(self, request: Request) -> bool:
        """Whether `request` would fit if nothing else ran here."""
        spec = self.spec
        return (
            request.cpu_milli <= spec.cpu_milli
            and request.memory_mib <= spec.memory_mib
            and request.gpus <= spec.gpus
        )

    def may_look_ahead(self, request: Request, mono_ms: int) -> bool:
        """Whether the engine may hold `request` back itself until there is room.

        Never what holds something scarce (GPUs, consumables) while it waits, and never where a
        job that goes first is waiting for the room.
        """
        return (
            self.spec.look_ahead
            and not request.gpus
            and not request.consumables
            and not self.kept_for
            and self.could_hold(request)
            and len(self.ahead) < self.pace.allowance(mono_ms)
        )

    def hold(self, key: str, request: Request) -> bool:
        """Give `request` room inside when it fits: True; else ahead, where the engine knows how."""
        if not self.ahead and (self._has_free(request) or not self.spec.look_ahead):
            self._enter(request)
            return True
        self.ahead[key] = request
        return False

    def free(self, key: str, request: Request, mono_ms: int) -> list[str]:
        """Take back what `hold` gave; those ahead move up, and it says who moves inside."""
        self.pace.count_end(mono_ms)
        if self.ahead.pop(key, None) is None:
            self.inside -= 1
            self.cpu_free += request.cpu_milli
            self.memory_free += request.memory_mib
            self.gpus_free += request.gpus
        return self._move_inside()

    def keep(self, priority: int, waiting: Waiting) -> None:
        """Keep room for the head of a queue against all that come later in this cycle."""
        request = waiting.request
        self.cpu_kept += request.cpu_milli
        self.memory_kept += request.memory_mib
        self.gpus_kept += request.gpus
        self.kept_for.append((priority, waiting))

    def forget_kept(self) -> None:
        """Begin a cycle: nothing is kept."""
        self.cpu_kept = self.memory_kept = self.gpus_kept = 0
        self.kept_for: list[tuple[int, Waiting]] = []

    def use(self) -> EnvironmentUse:
        """What is in use now."""
        return EnvironmentUse(
            cpu_milli=self.spec.cpu_milli - self.cpu_free,
            memory_mib=self.spec.memory_mib - self.memory_free,
            gpus=self.spec.gpus - self.gpus_free,
            running=self.inside,
            ahead=len(self.ahead),
        )

    def _has_free(self, request: Request) -> bool:
        return (
            request.cpu_milli <= self.cpu_free
            and request.memory_mib <= self.memory_free
            and (not request.gpus or request.gpus <= self.gpus_free)
        )

    def _enter(self, request: Request) -> None:
        self.inside += 1
        self.cpu_free -= request.cpu_milli
        self.memory_free -= request.memory_mib
        self.gpus_free -= request.gpus

    def _move_inside(self) -> list[str]:
        entered: list[str] = []
        while self.ahead:
            key, request = next(iter(self.ahead.items()))
            if not self._has_free(request):
                break
            del self.ahead[key]
            self._enter(request)
            entered.append(key)
        return entered


class Consumable:
    """A consumable resource: `total` of something counted, of which `in_use` is held.

    A replenishable one comes back when its holder ends; otherwise it is spent, and `total`
    shrinks. `claimed` is what jobs that go first lay claim to during one cycle. One that
    nobody has made, but that jobs name, is not `is_known` and has nothing.
    """

    __slots__ = ("claimed", "in_use", "is_known", "replenishable", "total")

    def __init__(self) -> None:
        self.is_known = False
        self.total = 0
        self.replenishable = True
        self.in_use = 0
        self.claimed = 0

    @property
    def available(self) -> int:
        """How much can be taken now; less than nothing once `total` was lowered under use."""
        return self.total - self.in_use

    @property
    def attainable(self) -> int:
        """How much there can be without anybody adding to it."""
        return self.total if self.replenishable else self.available

    def release(self, amount: int, *, spend: bool) -> bool:
        """Give `amount` back, or spend it where it is of the kind that is used up: then True."""
        self.in_use -= amount
        is_spent = spend and not self.replenishable and self.is_known
        if is_spent:
            self.total -= amount
        return is_spent
