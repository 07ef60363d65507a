"""Why a job waits: one sentence with numbers, in AWS's code-first form where AWS has a code.

Worked out from what holds at the moment of asking; nothing here decides anything. The codes are
those that jobStateTimeLimitActions and the `Batch Job Queue Blocked` event go by (AWS Batch user
guide, "Jobs stuck in a RUNNABLE status").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.capacity import Consumable, Environment
from tidemill.services.batch.scheduling.fairshare import Ledger, Share
from tidemill.services.batch.scheduling.position import Position, find_position
from tidemill.services.batch.scheduling.quantity import Amounts, count, vcpus
from tidemill.services.batch.scheduling.queue import Queue
from tidemill.services.batch.scheduling.spec import Condition, Waiting

NO_ROOM = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_FEW_VCPUS = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
CANNOT_PROVIDE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
NEEDS_A_HAND = "ACTION_REQUIRED"


@dataclass(frozen=True, slots=True)
class View:
    """All that an explanation of one job looks at."""

    queue: Queue
    waiting: Waiting
    index: int | None
    consumables: Mapping[str, Consumable]
    now_ms: int


def explain(view: View) -> str:
    """The sentence: what is needed, what is free, how many jobs are before it."""
    position = find_position(view.queue, view.waiting, view.index, view.now_ms)
    sentence = find_impossible(view.queue, view.waiting.request) or _obstacle(view)
    if sentence is None:
        return _await_turn(view, position)
    return "; ".join([sentence, *_standing(view, position)])


def find_impossible(queue: Queue, request: Request) -> str | None:
    """Why `request` can never run in this queue as things are set up, or None when it can."""
    environments = queue.environments
    if not environments:
        return f"{NEEDS_A_HAND} - queue `{queue.spec.name}` has no compute environment; give it one"
    needs = Amounts.of_request(request)
    lacking = [needs.beyond(Amounts.of_total(each)) for each in environments]
    if not all(lacking):
        return None
    kinds = _union(lacking)
    totals = [
        f"`{each.spec.name}` has {Amounts.of_total(each).words(lacks, bare=len(kinds) == 1)} in all"
        for each, lacks in zip(environments, lacking, strict=True)
    ]
    code, advice = CANNOT_PROVIDE, "ask for less, or for another queue"
    if all("vCPU" in lacks for lacks in lacking):
        code, advice = TOO_FEW_VCPUS, "ask for less, or raise maxvCpus"
    return f"{code} - needs {needs.words(kinds)}; {'; '.join(totals)}; {advice}"


def list_conditions(view: View) -> list[Condition]:
    """Everything that has to hold before the job starts, in the order in which it is looked at."""
    queue, request = view.queue, view.waiting.request
    position = find_position(queue, view.waiting, view.index, view.now_ms)
    standing = "; ".join(_standing(view, position)) or "it is first"
    conditions = [Condition(name="turn", holds=position.is_first, detail=standing)]
    if queue.ledger is not None:
        conditions.append(_share_condition(view, queue.ledger))
    for name, amount in request.consumables:
        holds = not _is_short(view, name, amount)
        detail = _consumable_words(view, name, amount)
        conditions.append(Condition(name=f"consumable {name}", holds=holds, detail=detail))
    needs = Amounts.of_request(request)
    for environment in queue.environments:
        room = _Room(view, environment)
        detail = f"needs {needs.words(needs.kinds())}; {room.words(needs.kinds())}"
        name = f"environment {environment.spec.name}"
        conditions.append(Condition(name=name, holds=room.is_enough, detail=detail))
    return conditions


class _Room:
    """One environment as one job sees it: without what is kept for others before it."""

    def __init__(self, view: View, environment: Environment) -> None:
        self.environment = environment
        self.needs = Amounts.of_request(view.waiting.request)
        turn = (-view.queue.spec.priority, view.waiting.seq)
        self.kept_for = [
            job
            for priority, job in environment.kept_for
            if (-priority, job.seq) < turn and job.queue != view.waiting.queue
        ]
        self.free = Amounts.of_free(environment)
        kept = [Amounts.of_request(job.request) for job in self.kept_for]
        self.sharers = [each for each in environment.host.environments if each is not environment]
        elsewhere = [
            job
            for sharer in self.sharers
            for priority, job in sharer.kept_for
            if (-priority, job.seq) < turn and job.queue != view.waiting.queue
        ]
        kept += [Amounts.of_host(job.request) for job in elsewhere]
        kept += [Amounts.of_host(each) for sharer in self.sharers for each in sharer.ahead.values()]
        self.left = self.free.less(*kept)
        self.lacks = self.needs.beyond(self.left)
        if self.lacks != ["vCPU"]:
            self.kept_for += elsewhere

    @property
    def can_hold(self) -> bool:
        """Whether it is open and large enough."""
        total = Amounts.of_total(self.environment)
        return self.environment.is_open and not self.needs.beyond(total)

    @property
    def is_enough(self) -> bool:
        """Whether the job could start here at once."""
        return self.environment.is_open and not self.lacks and not self.environment.ahead

    def words(self, kinds: Sequence[str], *, bare: bool = False) -> str:
        """What it has of `kinds`, and who is to get it."""
        spec = self.environment.spec
        if not self.environment.is_open:
            return f"`{spec.name}` is {'INVALID' if not spec.valid else 'DISABLED'}"
        total = Amounts.of_total(self.environment)
        if self.needs.beyond(total):
            return f"`{spec.name}` has {total.words(kinds, bare=bare)} in all"
        text = f"`{spec.name}` has {self.free.words_of(total, kinds, bare=bare)} free"
        if self.sharers and kinds != ["vCPU"]:
            text += (
                f" (shared with {', '.join(f'`{each.spec.name}`' for each in self.sharers[:3])})"
            )
        if self.kept_for:
            first = self.kept_for[0]
            text += f", kept for job {first.job_id} of queue `{first.queue}`"
        elif self.environment.ahead:
            text += f", for which {count(len(self.environment.ahead), 'job')} started before it"
        return text


def _obstacle(view: View) -> str | None:
    """What keeps the job from starting even if its turn were now, or None."""
    for name, amount in view.waiting.request.consumables:
        if _is_short(view, name, amount):
            return _consumable_words(view, name, amount)
    if view.queue.is_held_by_reserve(view.waiting):
        return _reserve_words(view)
    rooms = [_Room(view, environment) for environment in view.queue.environments]
    if any(room.is_enough for room in rooms):
        return None
    able = [room for room in rooms if room.can_hold]
    code = NO_ROOM if able else NEEDS_A_HAND
    needs = Amounts.of_request(view.waiting.request)
    kinds = _union([room.lacks for room in able]) or ["vCPU"]
    words = [room.words(kinds, bare=len(kinds) == 1) for room in rooms]
    advice = [] if able else ["enable one that can hold it"]
    return f"{code} - needs {needs.words(kinds)}; {'; '.join([*words, *advice])}"


def _await_turn(view: View, position: Position) -> str:
    """Nothing is in its way but others: say who is first among them and why that one waits."""
    standing = _standing(view, position)
    if not standing:
        return "it starts next"
    head = view.queue.held
    if head is None or head is view.waiting:
        return "; ".join(standing)
    in_its_place = View(view.queue, head, None, view.consumables, view.now_ms)
    reason = find_impossible(view.queue, head.request) or _obstacle(in_its_place) or "starts next"
    without_code = reason.partition(" - ")[2] or reason
    return f"{'; '.join(standing)}; the first, {head.job_id}, {without_code}"


def _standing(view: View, position: Position) -> list[str]:
    more = "" if position.is_exact else "at least "
    verb = "is" if position.jobs == 1 else "are"
    if view.queue.ledger is None:
        if not position.jobs:
            return []
        return [f"{more}{count(position.jobs, 'job')} {verb} before it"]
    share = f"share `{view.waiting.share}`"
    words = []
    if position.jobs:
        words.append(f"{more}{count(position.jobs, 'job')} of {share} {verb} before it")
    if position.shares:
        verb = "is" if position.shares == 1 else "are"
        words.append(f"{count(position.shares, 'share')} {verb} before {share}")
    return words


def _is_short(view: View, name: str, amount: int) -> bool:
    consumable = view.consumables.get(name)
    return consumable is None or amount > consumable.available


def _consumable_words(view: View, name: str, amount: int) -> str:
    consumable = view.consumables.get(name)
    if consumable is None or not consumable.is_known:
        return f"needs {amount} of `{name}`, a consumable resource that does not exist; create it"
    free = max(0, consumable.available)
    text = f"needs {amount} of `{name}`; {free} of {consumable.total} free"
    if amount > consumable.attainable:
        return text + "; raise its quantity with UpdateConsumableResource"
    return text


def _share_condition(view: View, ledger: Ledger) -> Condition:
    share = ledger.share(view.waiting.share)
    held = view.queue.is_held_by_reserve(view.waiting)
    detail = _reserve_words(view) if held else _share_words(ledger, share, view.now_ms)
    return Condition(name=f"share {share.identifier}", holds=not held, detail=detail)


def _share_words(ledger: Ledger, share: Share, now_ms: int) -> str:
    average = vcpus(round(ledger.average(share, now_ms)))
    return (
        f"share `{share.identifier}` has {vcpus(share.running)} vCPU in use and had {average} on"
        f" average over {ledger.decay_ms // 1000} s, at weight {share.weight:g}"
    )


def _reserve_words(view: View) -> str:
    ledger = view.queue.ledger
    assert ledger is not None
    total = view.queue.cpu_milli
    return (
        f"needs {vcpus(view.waiting.request.cpu_milli)} vCPU; queue `{view.queue.spec.name}` has"
        f" {vcpus(ledger.held)} of {vcpus(total)} in use and its policy keeps"
        f" {vcpus(ledger.reserved(total))} for shares that are not active"
        f" ({ledger.active} active)"
    )


def _union(lacking: Sequence[Sequence[str]]) -> list[str]:
    return [kind for kind in Amounts.KINDS if any(kind in lacks for lacks in lacking)]
