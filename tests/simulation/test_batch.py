"""Batch under everything that can go wrong, by seed.

`make simulate` runs many seeds; `TIDEMILL_SIMULATE_SEEDS` says how many, and
`TIDEMILL_SIMULATE_FIRST` from which one on, so that a seed that failed can be run alone.
"""

from __future__ import annotations

import os

import pytest
from batch_simulation import Simulation

SEEDS = int(os.environ.get("TIDEMILL_SIMULATE_SEEDS", "12"))
FIRST = int(os.environ.get("TIDEMILL_SIMULATE_FIRST", "0"))
STEPS = 150


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_nothing_is_lost_or_run_twice_whatever_dies(seed: int) -> None:
    Simulation(seed).live(STEPS)
