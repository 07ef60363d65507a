"""A registry as a fresh server has it, and short ways to say what tests need of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.platform.clock import Now
from tidemill.platform.limit import AWS
from tidemill.services.batch.environment import Offer
from tidemill.services.batch.name import Names
from tidemill.services.batch.registry import Registry

NOW = Now(wall_ms=1_700_000_000_000, mono_ms=0)


@pytest.fixture
def offer() -> Offer:
    """What the engine of this machine has to give."""
    return Offer(cpu_milli=8000, memory_mib=16_000, gpus=1, look_ahead=True)


@pytest.fixture
def registry(offer: Offer) -> Registry:
    """A registry with `local` and `default`, as after the first start."""
    made = Registry(Names("123456789012", "eu-west-1"), AWS, {"process": offer})
    made.found("11111111-2222-3333-4444-555555555555")
    return made


@pytest.fixture
def change(registry: Registry) -> Callable[..., dict[str, Any]]:
    """`change("CreateJobQueue", jobQueueName=...)` on that registry."""

    def carry_out(
        operation: str, /, *, wall_ms: int = NOW.wall_ms, **params: Any
    ) -> dict[str, Any]:
        return registry.change(operation, params, "new-id", Now(wall_ms=wall_ms, mono_ms=0))

    return carry_out
