"""How much each share of a fair-share queue has had, and whose turn that makes it.

A share's score is `weight x (decayed average of vCPUs in use + what its attempts at hand are
expected to add to that)`; the lowest score goes first. The average looks back over
shareDecaySeconds exponentially, so that who had little recently catches up. What was admitted
counts at once, or one share would take every place that comes free in one moment; and only by as
much as it will come to, which is judged by how long the share's attempts lasted lately: short
jobs that counted for more would take turns one by one, whatever the weights. No attempt counts
for more than a sixteenth of shareDecaySeconds, or whole jobs, which can't be split as a weight
would have it, would be rounded the same way every time. Scores of waiting shares level out,
which gives each a part of the vCPUs in proportion to 1 / weight.

`Ledger.key` is the logarithm of the score with the common decay taken out: it stands still while
a share has no attempts and only grows while it has. So an order kept by key stays right as
time passes, but for shares with attempts, which can only have moved back.
"""

from __future__ import annotations

from math import exp, inf, log
from typing import Final

from tidemill.services.batch.scheduling.spec import FairShare

DEFAULT_DECAY_S: Final = 600
FORGET_BELOW_MILLI: Final = 0.001
EXPECTED_PART_MAX: Final = 1 / 16
"""Of shareDecaySeconds: for as long an attempt is expected to last at most."""
_LATELY: Final = 1 / 8
"""How much the latest attempt counts in how long they lasted lately."""


class Share:
    """One share identifier's account in one queue.

    `held` is what its `attempts` were admitted with, `running` what those of them have in use
    that have room, and `average` the decayed average of that as it was at `at_ms`, all in
    thousandths of a vCPU. `lasts_ms` is how long its `ended` attempts lasted lately; `waiting`
    counts its jobs in line.
    """

    __slots__ = (
        "at_ms", "attempts", "average", "ended", "held", "identifier", "lasts_ms", "running",
        "waiting", "weight",
    )  # fmt: skip

    def __init__(self, identifier: str, weight: float) -> None:
        self.identifier = identifier
        self.weight = weight
        self.attempts = 0
        self.held = 0
        self.running = 0
        self.ended = 0
        self.lasts_ms = inf
        self.waiting = 0
        self.average = 0.0
        self.at_ms = 0


class Ledger:
    """The accounts of one queue's shares under its policy.

    `active` shares have jobs runnable or running; `held` is what all of them were admitted with
    and `lasts_ms` how long attempts of any share lasted lately.
    """

    def __init__(self, policy: FairShare) -> None:
        self._shares: dict[str, Share] = {}
        self.active = 0
        self._sweep_at = 1024
        self.latest_ms = 0
        self.held = 0
        self.lasts_ms = inf
        self.adopt(policy)

    def adopt(self, policy: FairShare) -> None:
        """Take on a policy: its weights and decay count from now on. Keys made before are void."""
        self.policy = policy
        self.decay_ms = 1000 * (policy.decay_s or DEFAULT_DECAY_S)
        self._exact = {name: weight for name, weight in policy.weights if not name.endswith("*")}
        prefixes = [(name[:-1], weight) for name, weight in policy.weights if name.endswith("*")]
        self._prefixes = sorted(prefixes, key=lambda prefix: -len(prefix[0]))
        for share in self._shares.values():
            share.weight = self.weight_of(share.identifier)

    def weight_of(self, identifier: str) -> float:
        """The weight factor of an identifier: its own, its longest prefix's, or 1."""
        own = self._exact.get(identifier)
        if own is not None:
            return own
        matching = (weight for name, weight in self._prefixes if identifier.startswith(name))
        return next(matching, 1.0)

    def share(self, identifier: str) -> Share:
        """The account of `identifier`, opened when there is none."""
        share = self._shares.get(identifier)
        if share is None:
            if len(self._shares) >= self._sweep_at:
                self._sweep()
            share = Share(identifier, self.weight_of(identifier))
            self._shares[identifier] = share
        return share

    def is_active(self, identifier: str) -> bool:
        """Whether that share has a job runnable or running."""
        share = self._shares.get(identifier)
        return share is not None and bool(share.attempts or share.waiting)

    def shares(self) -> list[Share]:
        """All accounts that are remembered."""
        return list(self._shares.values())

    def key(self, share: Share, now_ms: int) -> float:
        """Where `share` stands: the lower goes first. Comparable between any two moments."""
        now_ms = max(now_ms, share.at_ms)
        score = self.score(share, now_ms)
        return log(score) + now_ms / self.decay_ms if score > 0 else -inf

    def score(self, share: Share, now_ms: int) -> float:
        """Weighted use, in thousandths of a vCPU."""
        average = share.average if now_ms <= share.at_ms else self.average(share, now_ms)
        return share.weight * (share.held * self.expected_part(share) + average)

    def expected_part(self, share: Share) -> float:
        """How much an attempt of `share` is expected to add to its average, per vCPU.

        At least what a millisecond does, for that is as finely as time is told here.
        """
        return min(EXPECTED_PART_MAX, max(1.0, share.lasts_ms) / self.decay_ms)

    def average(self, share: Share, now_ms: int) -> float:
        """The decayed average of thousandths of a vCPU in use, as of now."""
        elapsed_ms = now_ms - share.at_ms
        if elapsed_ms <= 0:
            return share.average
        return share.running + (share.average - share.running) * exp(-elapsed_ms / self.decay_ms)

    def admit(self, share: Share, cpu_milli: int, now_ms: int) -> None:
        """Charge `share` with what an attempt is expected to use."""
        if now_ms > share.at_ms:
            self._settle(share, now_ms)
        if not share.attempts and not share.waiting:
            self.active += 1
        if not share.ended:
            share.lasts_ms = self.lasts_ms
        share.attempts += 1
        share.held += cpu_milli
        self.held += cpu_milli

    def start(self, share: Share, cpu_milli: int, now_ms: int) -> None:
        """An attempt that was admitted has room from now on, so that its use counts."""
        if now_ms > share.at_ms:
            self._settle(share, now_ms)
        share.running += cpu_milli

    def stop(self, share: Share, cpu_milli: int, now_ms: int, since_ms: int | None) -> None:
        """The attempt, which had room since then or never, has ended.

        What it used goes on to count, less and less.
        """
        if now_ms > share.at_ms:
            self._settle(share, now_ms)
        if since_ms is not None:
            share.running -= cpu_milli
            self._learn(share, now_ms - since_ms)
        share.attempts -= 1
        share.held -= cpu_milli
        self.held -= cpu_milli
        if not share.attempts and not share.waiting:
            self.active -= 1

    def join(self, share: Share) -> None:
        """One more job or array of this share waits."""
        if not share.attempts and not share.waiting:
            self.active += 1
        share.waiting += 1

    def leave(self, share: Share) -> None:
        """One job or array of this share waits no more."""
        share.waiting -= 1
        if not share.attempts and not share.waiting:
            self.active -= 1

    def restore(self, share: Share, average: float, elapsed_ms: int, now_ms: int) -> None:
        """Take up an average from `elapsed_ms` ago; what ran in between is not known."""
        share.average = average * exp(-elapsed_ms / self.decay_ms)
        share.at_ms = self.latest_ms = now_ms

    def reserved(self, total_milli: int) -> int:
        """What of `total_milli` is kept for shares that are not active: AWS's formula."""
        percent = self.policy.reservation_percent
        if not percent:
            return 0
        return int(total_milli * (percent / 100) ** max(1, self.active))

    def is_held_by_reserve(self, share: Share, cpu_milli: int, total_milli: int) -> bool:
        """Whether starting this would eat into the reserve.

        A share that runs nothing is what the reserve is for: its first attempt is never held.
        """
        if not self.policy.reservation_percent or not share.attempts:
            return False
        return self.held + cpu_milli > total_milli - self.reserved(total_milli)

    def _learn(self, share: Share, lasted_ms: int) -> None:
        self.lasts_ms = _lately(self.lasts_ms, lasted_ms)
        share.lasts_ms = _lately(share.lasts_ms if share.ended else inf, lasted_ms)
        share.ended += 1

    def _settle(self, share: Share, now_ms: int) -> None:
        share.average = self.average(share, now_ms)
        share.at_ms = self.latest_ms = now_ms

    def _sweep(self) -> None:
        """Forget shares that are idle and have had next to nothing for long."""
        now_ms = self.latest_ms
        self._shares = {
            name: share
            for name, share in self._shares.items()
            if share.attempts or share.waiting or self.average(share, now_ms) >= FORGET_BELOW_MILLI
        }
        self._sweep_at = max(1024, 2 * len(self._shares))


def _lately(before_ms: float, lasted_ms: int) -> float:
    return lasted_ms if before_ms == inf else before_ms + (lasted_ms - before_ms) * _LATELY
