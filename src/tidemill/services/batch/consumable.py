"""Consumable resources: countable things that jobs hold or use up, such as licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidemill.services.batch import tag
from tidemill.services.batch.demand import QUANTITY_MAX
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import check_name

TOKEN_KEPT_MS: Final = 8 * 3_600_000


@dataclass(frozen=True, slots=True)
class Token:
    """A clientToken that was used, and what for."""

    token: str
    operation: str
    quantity: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumable:
    """A consumable resource as it is stored; what is in use only the scheduler knows."""

    name: str
    total: int
    replenishable: bool
    created_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    tokens: tuple[Token, ...] = ()


def created(params: Mapping[str, Any], wall_ms: int) -> Consumable:
    """The resource that CreateConsumableResource asks for."""
    check_name(params["consumableResourceName"], "consumableResourceName")
    kind = params.get("resourceType") or "REPLENISHABLE"
    if kind not in ("REPLENISHABLE", "NON_REPLENISHABLE"):
        raise Refused(
            f"resourceType should be REPLENISHABLE or NON_REPLENISHABLE; got {kind[:50]!r}."
        )
    return Consumable(
        name=params["consumableResourceName"],
        total=_quantity(params.get("totalQuantity", 0), "totalQuantity"),
        replenishable=kind == "REPLENISHABLE",
        created_ms=wall_ms,
        tags=tag.checked(params.get("tags")),
    )


def updated(consumable: Consumable, params: Mapping[str, Any], wall_ms: int) -> Consumable:
    """`consumable` after UpdateConsumableResource; the same clientToken changes nothing twice."""
    operation, quantity = params.get("operation"), params.get("quantity")
    if operation is None or quantity is None:
        raise Refused("operation and quantity must both be given.")
    quantity = _quantity(quantity, "quantity")
    token = params.get("clientToken")
    kept = tuple(t for t in consumable.tokens if wall_ms - t.at_ms < TOKEN_KEPT_MS)
    if token is not None:
        used = next((t for t in kept if t.token == token), None)
        if used is not None:
            return _same(consumable, used, operation, quantity)
        kept = (*kept, Token(token, operation, quantity, wall_ms))
    total = _after(consumable.total, operation, quantity)
    return replace(consumable, total=total, tokens=kept)


def described(consumable: Consumable, arn: str, in_use: int) -> dict[str, Any]:
    """The resource as DescribeConsumableResource shows it."""
    return {
        **summary(consumable, arn, in_use),
        "availableQuantity": max(0, consumable.total - in_use),
        "createdAt": consumable.created_ms,
        "tags": consumable.tags,
    }


def summary(consumable: Consumable, arn: str, in_use: int) -> dict[str, Any]:
    """The resource as ListConsumableResources shows it."""
    return {
        "consumableResourceName": consumable.name,
        "consumableResourceArn": arn,
        "totalQuantity": consumable.total,
        "inUseQuantity": in_use,
        "resourceType": "REPLENISHABLE" if consumable.replenishable else "NON_REPLENISHABLE",
    }


def _after(total: int, operation: str, quantity: int) -> int:
    match operation:
        case "SET":
            return quantity
        case "ADD":
            return _quantity(total + quantity, "quantity")
        case "REMOVE" if quantity <= total:
            return total - quantity
        case "REMOVE":
            raise Refused(f"quantity: {quantity} can't be removed from a total of {total}.")
        case _:
            raise Refused(f"operation should be SET, ADD or REMOVE; got {operation[:50]!r}.")


def _same(consumable: Consumable, used: Token, operation: str, quantity: int) -> Consumable:
    if (used.operation, used.quantity) != (operation, quantity):
        raise Refused(
            f"clientToken: {used.token} was used for {used.operation} of {used.quantity} before; "
            "use another one for a different update."
        )
    return consumable


def _quantity(quantity: int, member: str) -> int:
    if not 0 <= quantity <= QUANTITY_MAX:
        raise Refused(f"{member} should be from 0 to {QUANTITY_MAX}; got {quantity}.")
    return quantity
