"""How large this machine is, and how much of it jobs may have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tidemill.services.batch.environment import Offer

RESERVE_MIB = 512
"""Memory kept for the server, its runner and warm interpreters; at most a quarter of all."""
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
_MEMORY_LIMITS = ("memory.max", "memory.limit_in_bytes")


def offer_of_this_machine(*, look_ahead: bool) -> Offer:
    """The CPUs that this process may use, and the memory less the reserve.

    In a container, or a unit of systemd with MemoryMax, the memory is what that may have: the
    kernel would kill the server itself where its jobs used more.
    """
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory_mib = min((machine_bytes, *memory_limits_bytes())) >> 20
    return Offer(
        cpu_milli=len(os.sched_getaffinity(0)) * 1000,
        memory_mib=memory_mib - min(RESERVE_MIB, memory_mib // 4),
        look_ahead=look_ahead,
    )


def memory_limits_bytes() -> Iterator[int]:
    """What the control groups (v1 and v2) of this process and those above them may use."""
    try:
        lines = OWN_CGROUPS.read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top = CGROUPS / controllers
            own = top / path.lstrip("/")
            for group in (own, *own.parents):
                yield from _limits_bytes(group)
                if group == top:
                    break


def _limits_bytes(group: Path) -> Iterator[int]:
    for name in _MEMORY_LIMITS:
        try:
            text = (group / name).read_text("utf-8").strip()
        except OSError:  # the other version, or a group that a container does not show
            continue
        if text.isdigit():
            yield int(text)
