"""README's tables of operations, held to AWS's models and to what the services answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest

from tidemill.platform.fault import Fault
from tidemill.platform.limit import AWS
from tidemill.platform.service import Caller, Service
from tidemill.services.batch.api import BatchService
from tidemill.services.batch.core import BatchCore
from tidemill.services.batch.name import Names
from tidemill.services.batch.registry import Registry
from tidemill.services.logs import service as logs
from tidemill.services.logs.stream import refuse_writing
from tidemill.services.s3 import service as s3
from tidemill.services.s3.unoffered import ABSENT, PLAIN
from tidemill.services.sts.service import StsService

README = Path(__file__).parents[2] / "README.md"
TITLES = {"batch": "AWS Batch", "logs": "CloudWatch Logs", "s3": "S3", "sts": "STS"}
CALLER = Caller(account="000000000000", region="us-east-1", access_key="AKIA")
NEVER_SET = "settings, which always say that none is set"


def section(service: str) -> tuple[str, str]:
    """The heading of a service's tables, and what stands below it."""
    pattern = rf"^### ({TITLES[service]}: .+?)$(.+?)(?=^##)"
    found = re.search(pattern, README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found, f"README has no tables for {TITLES[service]}"
    return found[1], found[2]


def rows(service: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each row: what it is about, which operations are served, which are not."""
    for line in section(service)[1].splitlines():
        if line.startswith("| ") and "`" in line:
            about, served, unserved = line.strip("|").split("|")
            yield about.strip(), re.findall(r"`(\w+)`", served), re.findall(r"`(\w+)`", unserved)


@cache
def modelled(service: str) -> frozenset[str]:
    """The operations of botocore's model."""
    return frozenset(botocore.session.get_session().get_service_model(service).operation_names)


def _answers(service: Service, operation: str, refusal: str) -> bool:
    """Whether a service knows the operation: it does not refuse it as none of its own.

    It is called without parameters and with nothing behind it, so whatever else it may raise
    comes from having begun with it.
    """
    try:
        asyncio.run(service.call(operation, {}, CALLER))
    except Fault as fault:
        return refusal not in fault.message
    except (AttributeError, KeyError, TypeError):
        pass
    return True


def _probed(name: str, service: Service, refusal: str) -> set[str]:
    return {operation for operation in modelled(name) if _answers(service, operation, refusal)}


@cache
def served(service: str) -> frozenset[str]:
    """The operations that the code answers."""
    match service:
        case "batch":
            registry = Registry(Names(CALLER.account, CALLER.region), AWS, {})
            runtime: Any = SimpleNamespace(core=BatchCore(registry), registry=registry)
            found = _probed("batch", BatchService(runtime), "is not part of Tidemill")
        case "logs":
            found = {n for n, handler in logs.OPERATIONS.items() if handler is not refuse_writing}
        case "s3":
            found = {*s3.OPERATIONS, *s3.RETRIED_OPERATIONS, *ABSENT, *PLAIN}
        case _:
            issuer: Any = SimpleNamespace()
            found = _probed("sts", StsService(CALLER.account, issuer), "is not offered")
    return frozenset(found)


@pytest.mark.parametrize("service", TITLES)
def test_the_tables_name_each_operation_once_as_what_it_is(service: str) -> None:
    said_served = [name for _, names, _ in rows(service) for name in names]
    said_not = [name for _, _, names in rows(service) for name in names]
    assert set(said_served) == served(service)
    assert set(said_not) == modelled(service) - served(service)
    assert len(said_served + said_not) == len(modelled(service))


@pytest.mark.parametrize("service", TITLES)
def test_the_numbers_are_those_of_the_tables(service: str) -> None:
    heading, text = section(service)
    number, everything = len(served(service)), len(modelled(service))
    assert heading == f"{TITLES[service]}: {number} of {everything} operations"
    shown, folded, hidden = text.partition(" operations that are not served</summary>")
    if folded:
        assert int(shown.rpartition(">")[2]) == len(re.findall(r"`\w+`", hidden))


def test_what_is_answered_though_never_set_is_told_apart() -> None:
    [names] = [names for about, names, _ in rows("s3") if about == NEVER_SET]
    assert set(names) == {*ABSENT, *PLAIN}
