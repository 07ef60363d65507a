"""What /proc says about processes: who descends from whom, how much memory they use."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """The part of /proc/PID/stat that is needed; `boot_ticks` is when the process started."""

    pid: int
    state: str
    parent: int
    session: int
    boot_ticks: int
    rss_bytes: int


def stat(pid: int) -> Stat | None:
    """The process `pid`, or None when there is none."""
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        pid=pid,
        state=chr(fields[0][0]),
        parent=int(fields[1]),
        session=int(fields[3]),
        boot_ticks=int(fields[19]),
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def pids() -> set[int]:
    """Of every process there is."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - light


def processes(wanted: Iterable[int] | None = None) -> dict[int, Stat]:
    """Every process there is, or those of the `wanted` that are, by pid."""
    found = map(stat, pids() if wanted is None else wanted)
    return {entry.pid: entry for entry in found if entry is not None}


class Tree:
    """All processes at one moment but those `left_out`, and their kinship."""

    def __init__(self, left_out: Collection[int] = ()) -> None:
        self.pids = pids()
        self.table = processes(self.pids.difference(left_out))
        self._below: dict[int, list[int]] = {}
        for entry in self.table.values():
            self._below.setdefault(entry.parent, []).append(entry.pid)
            if entry.session not in (entry.pid, entry.parent):
                self._below.setdefault(entry.session, []).append(entry.pid)

    def kin(self, roots: Iterable[int]) -> set[int]:
        """The roots, all their descendants, and the members of the sessions that these lead."""
        found: set[int] = set()
        rest = list(roots)
        while rest:
            pid = rest.pop()
            if pid not in found:
                found.add(pid)
                rest.extend(self._below.get(pid, ()))
        return found & self.table.keys()


def marker(pid: int, name: str) -> str | None:
    """The variable `name` in the environment that `pid` was started with, or None."""
    prefix = name.encode() + b"="
    for entry in (_read(f"/proc/{pid}/environ") or b"").split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode("utf-8", "surrogateescape")
    return None


def pss_bytes(pid: int) -> int | None:
    """What `pid` uses of memory, of what it shares its share.

    0 when it has gone or is about to; None when the system does not tell: of other users'
    processes, or of any on a kernel that does not count it.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 - light
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, PermissionError):
        return None if os.path.exists(f"/proc/{pid}") else 0  # noqa: PTH110 - light
    except OSError:
        pass
    return 0


def boot_ticks() -> int:
    """The present moment, in the unit of `Stat.boot_ticks`."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS_PER_S)


def boot_id() -> str:
    """Which boot of the machine this is."""
    return (_read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def _read(path: str) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while data := os.read(file, 65536):
            parts.append(data)
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(file)
