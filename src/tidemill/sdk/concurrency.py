"""At most so many jobs of a function at once: Batch's consumable resources, made when first used.

A resource belongs to a function, `tidemill-app-render`, or to a function and a tenant,
`tidemill-app-render-acme`. Each job, and each child of an array, holds one unit while it runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from tidemill.sdk.client import Connection
from tidemill.sdk.error import SubmitError

_PREFIX: Final = "tidemill-"
_NAME_MAX: Final = 128
_WRITTEN: Final = re.compile(r"\s*(\d+)\s*/\s*tenant\s*")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many jobs of a function run at once, in all or for each tenant."""

    limit: int
    per_tenant: bool = False


def concurrency_of(given: int | str | None) -> Concurrency | None:
    """A `concurrency=` as people write it: 3, or "2/tenant"; `ValueError` for anything else."""
    if given is None:
        return None
    match = _WRITTEN.fullmatch(given) if isinstance(given, str) else None
    limit = int(match[1]) if match else given
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(
            f'concurrency={given!r} must be a number of jobs, such as 3, or "2/tenant" for each '
            f"tenant."
        )
    return Concurrency(limit, per_tenant=match is not None)


def properties(
    connection: Connection, function_name: str, wanted: Concurrency, tenant: str | None
) -> dict[str, Any]:
    """SubmitJob's `consumableResourcePropertiesOverride`; the resource is there afterwards.

    `function_name` is the job definition's. Raises `SubmitError` when a tenant's limit has none.
    """
    name = _PREFIX + function_name
    if wanted.per_tenant:
        if tenant is None:
            raise SubmitError(
                f"{function_name} runs at most {wanted.limit} jobs for each tenant, and this call "
                f"names none; submit it with tenant=."
            )
        name = f"{name[: _NAME_MAX - len(tenant) - 1]}-{tenant}"
    name = name[:_NAME_MAX]
    if connection.consumables.get(name) != wanted.limit:
        _provide(connection.client("batch"), name, wanted.limit)
        connection.consumables[name] = wanted.limit
    return {"consumableResourceList": [{"consumableResource": name, "quantity": 1}]}


def _provide(batch: Any, name: str, limit: int) -> None:
    try:
        found = batch.describe_consumable_resource(consumableResource=name)
    except batch.exceptions.ClientException:
        try:
            batch.create_consumable_resource(
                consumableResourceName=name, totalQuantity=limit, resourceType="REPLENISHABLE"
            )
            return
        except batch.exceptions.ClientException:  # another was first, unless this fails as well
            found = batch.describe_consumable_resource(consumableResource=name)
    if found["totalQuantity"] != limit:
        batch.update_consumable_resource(consumableResource=name, operation="SET", quantity=limit)
