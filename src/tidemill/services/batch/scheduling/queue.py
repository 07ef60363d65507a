"""One job queue: its lanes, its shares' ledger, and where its jobs may be placed."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.platform.clock import Now
from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Environment
from tidemill.services.batch.scheduling.fairshare import Ledger, Share
from tidemill.services.batch.scheduling.order import FairLane, FifoLane, Lane, Names
from tidemill.services.batch.scheduling.spec import QueueSpec, Waiting

Account = tuple[Ledger, Share]
"""Where an attempt's use is charged; the ledger of that time, whatever the policy is later."""


def names_of(request: Request) -> Names:
    """The lane that a request belongs to."""
    return tuple(name for name, _ in request.consumables) if request.consumables else ()


class Queue:
    """The waiting jobs of one queue, in order.

    `held` is the first job that the last cycle held back, `held_since` the moment from which on
    it has been that one.
    """

    def __init__(self, spec: QueueSpec) -> None:
        self.spec = spec
        self.ledger = Ledger(spec.policy) if spec.policy else None
        self.lanes: dict[Names, Lane] = {}
        self.environments: tuple[Environment, ...] = ()
        self.cpu_milli = 0
        self.held: Waiting | None = None
        self.held_since: Now | None = None

    def attach(self, environments: Mapping[str, Environment]) -> None:
        """Look the queue's environments up again after one of them, or their order, changed."""
        names = self.spec.environments
        self.environments = tuple(environments[name] for name in names if name in environments)
        self.cpu_milli = sum(each.spec.cpu_milli for each in self.environments if each.is_open)

    def adopt(self, spec: QueueSpec) -> None:
        """Take on a changed spec."""
        before, self.spec = self.spec.policy, spec
        if spec.policy == before:
            return
        if spec.policy is not None and self.ledger is not None:
            self.ledger.adopt(spec.policy)
            for lane in self.lanes.values():
                lane.stand_anew(self.ledger.latest_ms)
        else:
            self._line_up_anew()

    def _line_up_anew(self) -> None:
        waiting = self.waiting()
        self.lanes.clear()
        self.ledger = Ledger(self.spec.policy) if self.spec.policy else None
        for job in waiting:
            self.add(job)

    def waiting(self) -> list[Waiting]:
        """Every job in line, lane by lane."""
        lines = [line for lane in self.lanes.values() for line in lane.lines()]
        return [entry[2] for line in lines for entry in line]

    def add(self, waiting: Waiting) -> None:
        """Let `waiting` join."""
        names = names_of(waiting.request)
        lane = self.lanes.get(names)
        if lane is None:
            lane = self.lanes[names] = FairLane(self.ledger) if self.ledger else FifoLane()
        now_ms = 0
        if self.ledger is not None:
            now_ms = self.ledger.latest_ms
            self.ledger.join(self.ledger.share(waiting.share))
        lane.add(waiting, now_ms)

    def remove(self, waiting: Waiting) -> None:
        """Take `waiting` out; it must be in line."""
        now_ms = 0
        if self.ledger is not None:
            now_ms = self.ledger.latest_ms
            self.ledger.leave(self.ledger.share(waiting.share))
        self._leave_lane(waiting, now_ms)
        if self.held is waiting:
            self.held = None

    def _leave_lane(self, waiting: Waiting, now_ms: int) -> None:
        names = names_of(waiting.request)
        if self.lanes[names].remove(waiting, now_ms):
            del self.lanes[names]

    def admit(self, waiting: Waiting, now_ms: int, *, leaves: bool) -> Account | None:
        """Charge an attempt of `waiting` to its share; the job `leaves` if nothing is left of it.

        None where shares mean nothing.
        """
        ledger = self.ledger
        if ledger is None:
            if leaves:
                self._leave_lane(waiting, now_ms)
            return None
        share = ledger.share(waiting.share)
        ledger.admit(share, waiting.request.cpu_milli, now_ms)
        if leaves:
            ledger.leave(share)
            self._leave_lane(waiting, now_ms)
        if not leaves or len(self.lanes) > 1:
            self._touch(share, now_ms)
        return ledger, share

    def head(self, now_ms: int) -> Waiting | None:
        """Whose turn it is, lanes that are held aside; None when there is nobody."""
        first: tuple[float, Waiting] | None = None
        for lane in self.lanes.values():
            if not lane.is_held:
                head = lane.head(now_ms)
                if first is None or self._precedes(head, first):
                    first = head
        return first[1] if first else None

    def _precedes(self, one: tuple[float, Waiting], other: tuple[float, Waiting]) -> bool:
        """Compare the heads of two lanes; schedulingPriority counts within one share only."""
        if self.ledger is not None and one[1].share == other[1].share:
            return (-one[1].priority, one[1].seq) < (-other[1].priority, other[1].seq)
        return (one[0], one[1].seq) < (other[0], other[1].seq)

    def release_lanes(self) -> None:
        """Begin a cycle: no lane is held."""
        for lane in self.lanes.values():
            lane.is_held = False

    def hold_lane(self, waiting: Waiting) -> None:
        """Pass over all that name the same consumables as `waiting`, until the cycle's end."""
        self.lanes[names_of(waiting.request)].is_held = True

    def hold_lanes(self) -> None:
        """Pass over all that wait, until the cycle's end."""
        for lane in self.lanes.values():
            lane.is_held = True

    def charge(self, share_name: str, cpu_milli: int, now_ms: int) -> Account | None:
        """An attempt of this share was admitted; None where shares mean nothing."""
        if self.ledger is None:
            return None
        share = self.ledger.share(share_name)
        self.ledger.admit(share, cpu_milli, now_ms)
        self._touch(share, now_ms)
        return self.ledger, share

    def settle(self, account: Account, cpu_milli: int, now_ms: int, since_ms: int | None) -> None:
        """The attempt that was charged to `account`, and had room since then, has ended."""
        ledger, share = account
        ledger.stop(share, cpu_milli, now_ms, since_ms)
        self._touch(share, now_ms)

    def is_held_by_reserve(self, waiting: Waiting) -> bool:
        """Whether the policy's computeReservation keeps `waiting` from starting now."""
        if self.ledger is None or not self.ledger.policy.reservation_percent:
            return False
        share = self.ledger.share(waiting.share)
        return self.ledger.is_held_by_reserve(share, waiting.request.cpu_milli, self.cpu_milli)

    def restore_share(
        self, identifier: str, average_milli: float, elapsed_ms: int, now_ms: int
    ) -> None:
        """Take up what a share had `elapsed_ms` ago, before a restart."""
        if self.ledger is not None:
            share = self.ledger.share(identifier)
            self.ledger.restore(share, average_milli, elapsed_ms, now_ms)
            self._touch(share, now_ms)

    def _touch(self, share: Share, now_ms: int) -> None:
        for lane in self.lanes.values():
            lane.touch(share.identifier, now_ms)
