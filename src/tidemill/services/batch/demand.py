"""Which consumable resources a definition or a submission asks for, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidemill.services.batch.error import Refused

QUANTITY_MAX: Final = 2**53


def checked(stated: Mapping[str, Any] | None, member: str) -> dict[str, int]:
    """The quantities by the names or ARNs that `consumableResourceProperties` gives."""
    demands: dict[str, int] = {}
    for entry in (stated or {}).get("consumableResourceList") or ():
        place = f"{member}.consumableResourceList"
        name, quantity = entry.get("consumableResource"), entry.get("quantity")
        if not name:
            raise Refused(f"{place}.consumableResource must be given.")
        if quantity is None or not 1 <= quantity <= QUANTITY_MAX:
            raise Refused(f"{place}.quantity of {name[:150]} should be at least 1; got {quantity}.")
        if name in demands:
            raise Refused(f"{place}: {name[:150]} is given more than once.")
        demands[name] = quantity
    return demands
