"""Amounts as people write them: "512MiB", "15m", a `timedelta`, a number of vCPUs."""

from __future__ import annotations

import math
import re
from datetime import timedelta

_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_MEMORY_MIB = {
    "mib": 1.0,
    "gib": 1024.0,
    "tib": 1024.0**2,
    "mb": 1e6 / 2**20,
    "gb": 1e9 / 2**20,
    "tb": 1e12 / 2**20,
}
_TIME_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def memory_mib(amount: int | str) -> int:
    """Whole MiB, rounded up: a number is MiB already, as on AWS."""
    if isinstance(amount, int):
        value = float(amount)
    else:
        value = _parse(amount, _MEMORY_MIB, "memory", '"512MiB" or "2GiB"')
    if value < 1:
        raise ValueError(f"memory={amount!r} is less than one MiB; give at least 4.")
    return math.ceil(value)


def timeout_s(amount: float | str | timedelta, name: str = "timeout") -> int:
    """Whole seconds, rounded up: a number is seconds already, as on AWS."""
    if isinstance(amount, timedelta):
        value = amount.total_seconds()
    elif isinstance(amount, str):
        value = _parse(amount, _TIME_S, name, '"90s", "15m" or "2h"')
    else:
        value = float(amount)
    if value <= 0:
        raise ValueError(f"{name}={amount!r} must be more than 0 seconds.")
    return math.ceil(value)


def vcpus_text(amount: float) -> str:
    """As AWS spells a VCPU resource requirement: "2", "0.25"."""
    if not amount > 0:
        raise ValueError(f"vcpus={amount!r} must be more than 0.")
    return f"{amount:g}"


def _parse(text: str, units: dict[str, float], name: str, examples: str) -> float:
    match = _AMOUNT.fullmatch(text)
    unit = units.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{name}={text!r} can't be read; write it like {examples}.")
    return float(match[1]) * unit
