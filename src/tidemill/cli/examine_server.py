"""How the server is: its clock; and for ours its version, its disk, whether it can run anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from tidemill.cli.finding import Finding, note, ok, unchecked, wrong

SKEW_WRONG_S: Final = 300
SKEW_NOTED_S: Final = 30


def findings() -> Iterator[Finding]:
    """What the server says of itself, where these keys may ask."""
    from tidemill.cli.administration import ask

    said = ask("health", {})
    if said is None:
        yield unchecked(
            "health",
            "the server did not say how it is: these are not its own keys, it is an older one, "
            "or none of ours",
        )
        return
    yield clock(time.time() - said["timeMs"] / 1000)
    yield _version(said["version"])
    yield _room(said)
    for name, is_connected in said["engines"].items():
        if is_connected:
            yield ok("engine", f"{name} takes jobs")
        else:
            remedy = "see the server's output, and runner.log in its data folder"
            yield wrong("engine", f"{name} has lost its runner", remedy)


def clock(ahead_s: float) -> Finding:
    """How far this machine's clock is ahead of the server's; negative is behind."""
    told = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's"
    if abs(ahead_s) >= SKEW_WRONG_S:
        return wrong("clock", told, "set this machine's clock, best by NTP")
    if abs(ahead_s) >= SKEW_NOTED_S:
        return note("clock", told, f"calls are refused from {SKEW_WRONG_S // 60} minutes on")
    return ok("clock", "as the server's")


def _version(there: str) -> Finding:
    from importlib.metadata import version

    here = version("tidemill")
    if there == here:
        return ok("version", there)
    return note("version", f"the server is {there}, this command {here}")


def _room(said: dict[str, Any]) -> Finding:
    free, floor = said["freeBytes"], said["floorBytes"]
    told = f"{free / 2**30:.1f} GiB are free in the data folder"
    if free < floor:
        remedy = f"make room: below {floor >> 20:,} MiB no new work is taken"
        return wrong("disk", told, remedy)
    return note("disk", told, "that is little") if free < 4 * floor else ok("disk", told)
