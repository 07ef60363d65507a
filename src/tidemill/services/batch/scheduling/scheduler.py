"""Who runs next, and where: the one place that puts order, room and reservations together.

`Scheduler` is told what there is (environments, queues, consumables), what waits and what ends;
`cycle` answers what starts now. It is pure: the same calls give the same answers. README.md
beside this explains the rules and the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from tidemill.platform.clock import Now
from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Consumable, Environment, Host
from tidemill.services.batch.scheduling.explanation import View, explain, list_conditions
from tidemill.services.batch.scheduling.placement import place
from tidemill.services.batch.scheduling.position import front
from tidemill.services.batch.scheduling.queue import Account, Queue
from tidemill.services.batch.scheduling.reservation import Reservations, lacks
from tidemill.services.batch.scheduling.spec import (
    Admission,
    Blocked,
    Condition,
    EnvironmentSpec,
    EnvironmentUse,
    QueueSpec,
    QueueUse,
    Released,
    ShareUse,
    Waiting,
)

Head = tuple[int, int, str, Queue, Waiting]
"""(-priority of the queue, seq of the job, name of the queue, ...): sorts as turns go."""


@dataclass(slots=True)
class _Hold:
    """What an attempt holds from its admission to its release; it has room since `since_ms`."""

    environment: Environment
    request: Request
    queue: Queue | None
    account: Account | None
    since_ms: int | None = None


class Scheduler:
    """Decides admissions over all queues and environments of the account."""

    def __init__(self) -> None:
        self._environments: dict[str, Environment] = {}
        self._hosts: dict[str, Host] = {}
        self._queues: dict[str, Queue] = {}
        self._consumables: dict[str, Consumable] = {}
        self._waiting: dict[str, Waiting] = {}
        self._holds: dict[str, _Hold] = {}
        self._reservations = Reservations()
        self._is_stirred = False
        self._latest_ms = 0

    # What there is

    def set_environment(self, spec: EnvironmentSpec) -> None:
        """Make or change a compute environment; what runs there stays."""
        environment = self._environments.get(spec.name)
        if environment is None:
            self._environments[spec.name] = Environment(spec, self._host(spec))
        else:
            self._start(environment.resize(spec), self._latest_ms)
        self._attach_queues()

    def _host(self, spec: EnvironmentSpec) -> Host:
        return Host() if spec.host is None else self._hosts.setdefault(spec.host, Host())

    def remove_environment(self, name: str) -> None:
        """Forget an environment; no queue should name it any more. Unknown is no matter."""
        environment = self._environments.pop(name, None)
        if environment is not None:
            environment.leave()
        self._attach_queues()

    def set_queue(self, spec: QueueSpec) -> None:
        """Make or change a queue; what waits in it stays."""
        queue = self._queues.get(spec.name)
        if queue is None:
            queue = self._queues[spec.name] = Queue(spec)
        else:
            queue.adopt(spec)
        self._attach_queues()

    def remove_queue(self, name: str) -> None:
        """Forget a queue, with all that waits in it. Unknown is no matter."""
        queue = self._queues.pop(name, None)
        if queue is not None:
            for waiting in queue.waiting():
                del self._waiting[waiting.job_id]
        self._is_stirred = True

    def set_consumable(self, name: str, total: int, replenishable: bool) -> None:
        """Make or change a consumable resource; `total` includes what is in use."""
        consumable = self._consumables.setdefault(name, Consumable())
        consumable.is_known = True
        consumable.total = total
        consumable.replenishable = replenishable
        self._is_stirred = True

    def remove_consumable(self, name: str) -> None:
        """Forget a consumable resource; jobs that name it wait until it is made again."""
        consumable = self._consumables.get(name)
        if consumable is not None:
            consumable.is_known = False
            consumable.total = 0
            if not consumable.in_use:
                del self._consumables[name]

    def _attach_queues(self) -> None:
        for queue in self._queues.values():
            queue.attach(self._environments)
        self._is_stirred = True

    # What waits, what runs

    def add(self, waiting: Waiting) -> None:
        """Let a job, or an array with runnable children, wait in its queue.

        Calling it again for what waits already is harmless, so it may be called whenever an
        array's `indexes` have changed; an array without any leaves the line.
        """
        self._is_stirred = True
        if waiting.indexes is not None and not waiting.indexes:
            self.remove(waiting.job_id)
        elif waiting.job_id not in self._waiting:
            self._queues[waiting.queue].add(waiting)
            self._waiting[waiting.job_id] = waiting

    def remove(self, job_id: str) -> None:
        """Take a job out of line; nothing happens when it does not wait."""
        waiting = self._waiting.pop(job_id, None)
        if waiting is not None:
            self._queues[waiting.queue].remove(waiting)
            self._is_stirred = True

    def occupy(
        self, key: str, queue: str, environment: str, request: Request, share: str, now: Now
    ) -> None:
        """Take up an attempt that was admitted before a restart; in the order of admission.

        It holds what it holds, even where things have been removed or made smaller since.
        """
        where = self._environments.get(environment)
        if where is None:
            nothing = EnvironmentSpec(name=environment, cpu_milli=0, memory_mib=0, valid=False)
            where = self._environments[environment] = Environment(nothing, Host())
            self._attach_queues()
        whose = self._queues.get(queue)
        account = whose.charge(share, request.cpu_milli, now.mono_ms) if whose else None
        self._hold(key, _Hold(where, request, whose, account), now.mono_ms)

    def release(self, key: str, now: Now, *, spend: bool = True) -> Released | None:
        """Take back what the attempt `key` holds: it has ended. None when it holds nothing.

        `spend` False says that it never ran, so that it has used none of what can be used up.
        """
        hold = self._holds.pop(key, None)
        if hold is None:
            return None
        request = hold.request
        entered = hold.environment.free(key, request, now.mono_ms)
        if hold.queue is not None and hold.account is not None:
            hold.queue.settle(hold.account, request.cpu_milli, now.mono_ms, hold.since_ms)
        self._start(entered, now.mono_ms)
        self._is_stirred = True
        if not request.consumables:
            return hold.environment.released
        return Released(environment=hold.environment.spec.name, spent=self._spend(request, spend))

    def _spend(self, request: Request, spend: bool) -> tuple[tuple[str, int], ...]:
        spent = []
        for name, amount in request.consumables:
            consumable = self._consumables[name]
            if consumable.release(amount, spend=spend):
                spent.append((name, amount))
            if not consumable.is_known and not consumable.in_use:
                del self._consumables[name]
        return tuple(spent)

    def _hold(self, key: str, hold: _Hold, mono_ms: int) -> None:
        self._holds[key] = hold
        for name, amount in hold.request.consumables:
            self._consumables.setdefault(name, Consumable()).in_use += amount
        if hold.environment.hold(key, hold.request):
            self._start((key,), mono_ms)

    def _start(self, keys: Sequence[str], mono_ms: int) -> None:
        """These attempts have room from now on; until then their engine held them back."""
        for key in keys:
            hold = self._holds[key]
            hold.since_ms = mono_ms
            if hold.account is not None:
                ledger, share = hold.account
                ledger.start(share, hold.request.cpu_milli, mono_ms)

    # What starts now

    def cycle(self, now: Now) -> list[Admission]:
        """Admit all that can start now, in order, and hold what they are to start in.

        Costs what is admitted, plus a little per queue with waiting jobs; nothing per waiting
        job. Nothing has changed since the last cycle: nothing is done.
        """
        if not self._is_stirred:
            return []
        self._is_stirred = False
        self._latest_ms = now.mono_ms
        admissions: list[Admission] = []
        heads = self._collect_heads(now.mono_ms)
        first_held: dict[str, Waiting] = {}
        while heads:
            queue, waiting = heads[0][3:]
            environment = self._place(queue, waiting, now.mono_ms)
            if environment is not None:
                admissions.append(self._admit(queue, waiting, environment, now))
            else:
                first_held.setdefault(queue.spec.name, waiting)
            following = queue.head(now.mono_ms)
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, self._head(queue, following))
        self._note_held(first_held, now)
        return admissions

    def _collect_heads(self, mono_ms: int) -> list[Head]:
        self._reservations.clear()
        heads: list[Head] = []
        for queue in self._queues.values():
            queue.release_lanes()
            waiting = queue.head(mono_ms)
            if waiting is not None:
                heads.append(self._head(queue, waiting))
        heapify(heads)
        return heads

    @staticmethod
    def _head(queue: Queue, waiting: Waiting) -> Head:
        return -queue.spec.priority, waiting.seq, queue.spec.name, queue, waiting

    def _place(self, queue: Queue, waiting: Waiting, mono_ms: int) -> Environment | None:
        """Find room for a head; without any, hold back what has to wait behind it."""
        request = waiting.request
        if request.consumables and lacks(self._consumables, request):
            self._reservations.claim(self._consumables, request)
            queue.hold_lane(waiting)
            return None
        if not queue.is_held_by_reserve(waiting):
            environment = place(queue.environments, waiting, mono_ms)
            if environment is not None:
                return environment
            if self._reservations.keep_room(queue, waiting):
                self._reservations.claim(self._consumables, request)
        queue.hold_lanes()
        return None

    def _admit(
        self, queue: Queue, waiting: Waiting, environment: Environment, now: Now
    ) -> Admission:
        index = None if waiting.indexes is None else waiting.indexes.pop_first()
        leaves = not waiting.indexes
        account = queue.admit(waiting, now.mono_ms, leaves=leaves)
        if leaves:
            del self._waiting[waiting.job_id]
        if queue.held is waiting:
            queue.held = None
        admission = Admission(waiting.job_id, index, environment.spec.name)
        hold = _Hold(environment, waiting.request, queue, account)
        self._hold(admission.key, hold, now.mono_ms)
        return admission

    def _note_held(self, first_held: dict[str, Waiting], now: Now) -> None:
        for name, queue in self._queues.items():
            waiting = first_held.get(name)
            if waiting is not queue.held:
                queue.held = waiting
                queue.held_since = now

    # What can be read

    def explain(self, key: str, now: Now) -> str:
        """Why a waiting job, array or child (`id:3`) does not run yet: a statusReason.

        One sentence with numbers, worked out now. KeyError when the job does not wait here.
        """
        return explain(self._view(key, now))

    def conditions(self, key: str, now: Now) -> list[Condition]:
        """Every condition that a waiting job has to meet, and which of them it does."""
        return list_conditions(self._view(key, now))

    def blocked(self, now: Now) -> list[Blocked]:
        """The queues whose head was held back by the last cycle, and since when it has been."""
        return [
            Blocked(
                queue=queue.spec.name,
                job_id=queue.held.job_id,
                reason=self.explain(queue.held.job_id, now),
                since=queue.held_since,
            )
            for queue in self._queues.values()
            if queue.held is not None and queue.held_since is not None
        ]

    def front(self, queue: str, now: Now, limit: int = 100) -> list[tuple[str, int | None]]:
        """The first jobs (id, child's index) of a queue in the order of their turns."""
        return front(self._queues[queue], now.mono_ms, limit)

    def takes_share(self, queue: str, share: str, active_max: int) -> bool:
        """Whether a job of `share` leaves the queue with at most so many active shares."""
        ledger = self._queues[queue].ledger
        return ledger is None or ledger.active < active_max or ledger.is_active(share)

    def environment_use(self, name: str) -> EnvironmentUse:
        """What is in use of a compute environment now."""
        return self._environments[name].use()

    def queue_use(self, name: str) -> QueueUse:
        """What is in use now of what jobs of a queue run in."""
        total, shares = 0, dict[str, int]()
        for hold in self._holds.values():
            if hold.queue is None or hold.queue.spec.name != name or hold.since_ms is None:
                continue
            total += hold.request.cpu_milli
            if hold.account is not None:
                share = hold.account[1].identifier
                shares[share] = shares.get(share, 0) + hold.request.cpu_milli
        is_fair = self._queues[name].ledger is not None
        most_first = sorted(shares.items(), key=lambda share: (-share[1], share[0]))
        return QueueUse(cpu_milli=total, shares=tuple(most_first) if is_fair else None)

    @property
    def running(self) -> int:
        """How many attempts hold something now."""
        return len(self._holds)

    def consumable_in_use(self, name: str) -> int:
        """How much of a consumable resource is held now."""
        consumable = self._consumables.get(name)
        return consumable.in_use if consumable else 0

    def share_uses(self, now: Now) -> list[ShareUse]:
        """What each share of each fair-share queue has had: to be handed back after a restart."""
        return [
            ShareUse(
                queue=name,
                share=share.identifier,
                average_milli=queue.ledger.average(share, now.mono_ms),
                at_wall_ms=now.wall_ms,
            )
            for name, queue in self._queues.items()
            if queue.ledger is not None
            for share in queue.ledger.shares()
        ]

    def restore_share(self, use: ShareUse, now: Now) -> None:
        """Take up what a share had before a restart; the time in between has decayed it."""
        queue = self._queues.get(use.queue)
        if queue is not None:
            elapsed_ms = max(0, now.wall_ms - use.at_wall_ms)
            queue.restore_share(use.share, use.average_milli, elapsed_ms, now.mono_ms)

    def _view(self, key: str, now: Now) -> View:
        job_id, _, index = key.partition(":")
        waiting = self._waiting[job_id]
        queue = self._queues[waiting.queue]
        number = int(index) if index else None
        return View(queue, waiting, number, self._consumables, now.mono_ms)
