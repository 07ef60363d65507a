"""How large this machine is, and how much of it jobs may have."""

from __future__ import annotations

import os

from tidemill.services.batch.environment import Offer

RESERVE_MIB = 512
"""Memory kept for the server, its runner and warm interpreters; at most a quarter of all."""


def offer_of_this_machine(*, look_ahead: bool) -> Offer:
    """The CPUs that this process may use, and the memory less the reserve."""
    memory_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return Offer(
        cpu_milli=len(os.sched_getaffinity(0)) * 1000,
        memory_mib=memory_mib - min(RESERVE_MIB, memory_mib // 4),
        look_ahead=look_ahead,
    )
