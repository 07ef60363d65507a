"""How a benchmark says what it measured: one line a claim, with the target beside it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence


def median(values: Sequence[float]) -> float:
    """The middle of the runs, which a noisy machine moves least."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the sorted `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def claim(name: str, measured: str, target: str, met: bool) -> None:
    """Print one claim; nothing is asserted, because machines differ."""
    print(f"{'met   ' if met else 'MISSED'}  {name}: {measured} (target {target})", flush=True)


def in_turn(
    ours: Callable[[], float], peer: Callable[[], float], runs: int
) -> tuple[float, float, float]:
    """Medians of ours, of the peer, and of their ratio, pair by pair, in turn.

    Pairs that run next to each other meet the same mood of the machine.
    """
    pairs = [(peer(), ours()) for _ in range(runs)]
    return (
        median([mine for _, mine in pairs]),
        median([other for other, _ in pairs]),
        median([mine / other for other, mine in pairs]),
    )
