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


class Host:
    """The memory and the GPUs of a machine, for all environments whose jobs run on it.

    vCPUs are each environment's own: they are counted only, and a machine does more things at
    once than it has CPUs. Memory that is given twice kills. `memory_ahead` is what attempts that
    are ahead will need, `*_kept` what heads of queues keep free during one cycle.
    """

    __slots__ = (
        "environments", "gpus", "gpus_free", "gpus_kept", "memory_ahead", "memory_free",
        "memory_kept", "memory_mib",
    )  # fmt: skip

    def __init__(self) -> None:
        self.environments: list[Environment] = []
        self.memory_mib = self.memory_free = self.memory_kept = self.memory_ahead = 0
        self.gpus = self.gpus_free = self.gpus_kept = 0

    def resize(self, memory_mib: int, gpus: int) -> None:
        """Take on a new size; what runs stays, even if it is too much."""
        self.memory_free += memory_mib - self.memory_mib
        self.gpus_free += gpus - self.gpus
        self.memory_mib, self.gpus = memory_mib, gpus

    def has_memory_ahead(self, request: Request) -> bool:
        """Whether `request` may wait for vCPUs alone, so that its engine needs ask nobody.

        An engine knows what its environments hold, and not what they share: only one that has
        the host to itself may wait for memory on its own.
        """
        left_mib = self.memory_free - self.memory_kept - self.memory_ahead
        return len(self.environments) == 1 or request.memory_mib <= left_mib

    def move_inside(self) -> list[str]:
        """Room came free: who of those ahead moves inside, in any environment."""
        if len(self.environments) == 1:
            return self.environments[0].move_inside()
        return [key for environment in self.environments for key in environment.move_inside()]


class Environment:
    """A compute environment's room: vCPUs of its own, and its host's memory and GPUs.

    Attempts are inside, holding room, or ahead: handed to the engine, which starts them in order
    as room comes free; they move inside by the same rule here. `cpu_kept` is what heads of queues
    that go first keep free during one cycle.
    """

    __slots__ = (
        "ahead", "cpu_free", "cpu_kept", "gpus_used", "host", "inside", "is_open", "kept_for",
        "memory_used", "pace", "released", "spec",
    )  # fmt: skip

    def __init__(self, spec: EnvironmentSpec, host: Host) -> None:
        self.inside = 0
        self.ahead: dict[str, Request] = {}
        self.pace = Pace()
        self.cpu_free = self.memory_used = self.gpus_used = 0
        self.released = Released(environment=spec.name)
        self.spec = EnvironmentSpec(name=spec.name, cpu_milli=0, memory_mib=0)
        self.host = host
        host.environments.append(self)
        self.resize(spec)
        self.forget_kept()

    def resize(self, spec: EnvironmentSpec) -> list[str]:
        """Take on a new size, and say who moves inside; what runs stays, even if it is too much."""
        self.cpu_free += spec.cpu_milli - self.spec.cpu_milli
        self.host.resize(spec.memory_mib, spec.gpus)
        self.spec = spec
        self.is_open = spec.enabled and spec.valid
        return self.host.move_inside()

    def leave(self) -> None:
        """Be no more on the host; what still runs gives its memory back there when it ends."""
        self.host.environments.remove(self)

    def fits(self, request: Request) -> bool:
        """Whether `request` could start at once, without taking what is kept or overtaking."""
        host = self.host
        return (
            request.cpu_milli <= self.cpu_free - self.cpu_kept
            and request.memory_mib <= host.memory_free - host.memory_kept - host.memory_ahead
            and (not request.gpus or request.gpus <= host.gpus_free - host.gpus_kept)
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
            and self.host.has_memory_ahead(request)
            and len(self.ahead) < self.pace.allowance(mono_ms)
        )

    def hold(self, key: str, request: Request) -> bool:
        """Give `request` room inside when it fits: True; else ahead, where the engine knows how."""
        if not self.ahead and (self._has_free(request) or not self.spec.look_ahead):
            self._count(1, request)
            return True
        self.ahead[key] = request
        self.host.memory_ahead += request.memory_mib
        return False

    def free(self, key: str, request: Request, mono_ms: int) -> list[str]:
        """Take back what `hold` gave; those ahead move up, and it says who moves inside."""
        self.pace.count_end(mono_ms)
        if self.ahead.pop(key, None) is None:
            self._count(-1, request)
        else:
            self.host.memory_ahead -= request.memory_mib
        return self.host.move_inside()

    def keep(self, priority: int, waiting: Waiting) -> None:
        """Keep room for the head of a queue against all that come later in this cycle."""
        request = waiting.request
        self.cpu_kept += request.cpu_milli
        self.host.memory_kept += request.memory_mib
        self.host.gpus_kept += request.gpus
        self.kept_for.append((priority, waiting))

    def forget_kept(self) -> None:
        """Begin a cycle: nothing is kept, here or by others on the same host."""
        self.cpu_kept = self.host.memory_kept = self.host.gpus_kept = 0
        self.kept_for: list[tuple[int, Waiting]] = []

    def use(self) -> EnvironmentUse:
        """What is in use now."""
        return EnvironmentUse(
            cpu_milli=self.spec.cpu_milli - self.cpu_free,
            memory_mib=self.memory_used,
            gpus=self.gpus_used,
            running=self.inside,
            ahead=len(self.ahead),
        )

    def _has_free(self, request: Request) -> bool:
        return (
            request.cpu_milli <= self.cpu_free
            and request.memory_mib <= self.host.memory_free
            and (not request.gpus or request.gpus <= self.host.gpus_free)
        )

    def _count(self, times: int, request: Request) -> None:
        memory_mib = times * request.memory_mib
        self.inside += times
        self.cpu_free -= times * request.cpu_milli
        self.memory_used += memory_mib
        self.host.memory_free -= memory_mib
        if request.gpus:
            self.gpus_used += times * request.gpus
            self.host.gpus_free -= times * request.gpus

    def move_inside(self) -> list[str]:
        """Those ahead for whom there is room now, in order: they hold it from now on."""
        entered: list[str] = []
        while self.ahead:
            key, request = next(iter(self.ahead.items()))
            if not self._has_free(request):
                break
            del self.ahead[key]
            self.host.memory_ahead -= request.memory_mib
            self._count(1, request)
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
