"""Options of a submission: whose a keyword is, what they change, and that a retry reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tidemill as tm
from tidemill.sdk import option
from tidemill.sdk.concurrency import Concurrency
from tidemill.sdk.definition import Needs
from tidemill.sdk.payload import Parameters


def plain(tenant: str, key: int = 0) -> None: ...


def keyword_only(*, tenant: str) -> None: ...


def open_to_all(name: str, **rest: object) -> None: ...


def by_place(tenant: str, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "name", "positional", "takes"),
    [
        (plain, "tenant", 0, True),
        (plain, "tenant", 1, False),
        (plain, "key", 1, True),
        (plain, "delay", 1, False),
        (keyword_only, "tenant", 0, True),
        (open_to_all, "tenant", 1, True),
        (by_place, "tenant", 0, False),
    ],
)
def test_a_keyword_is_the_functions_while_it_can_take_it(
    function: Any, name: str, positional: int, takes: bool
) -> None:
    assert Parameters(function).takes(name, positional) is takes


def test_changes_go_before_what_the_function_needs() -> None:
    needs = Needs(memory_mib=64, environment=(("A", "1"), ("B", "1")), queue="mine")
    order = option.order_of({"memory": "1GiB", "environment": {"B": "2"}, "attempts": 3})
    changed = order.needs(needs)
    assert (changed.memory_mib, changed.attempts, changed.queue) == (1024, 3, "mine")
    assert dict(changed.environment) == {"A": "1", "B": "2"}


def test_who_does_it_again_changes_the_same() -> None:
    order = option.order_of(
        {
            "vcpus": 0.5,
            "timeout": "2m",
            "backoff": (1, "1m"),
            "environment": {"A": "1"},
            "concurrency": "2/tenant",
            "keep": None,
        }
    )
    assert dict(option.changes_of(order.text())) == dict(order.changes)
    assert dict(order.changes)["concurrency"] == Concurrency(2, per_tenant=True)


def test_a_later_option_replaces_an_earlier_one_alone() -> None:
    first = option.order_of({"tenant": "acme", "delay": 5, "memory": 64, "vcpus": 2})
    both = option.merged(first, {"tenant": 17, "memory": 128})
    assert (both.tenant, both.delay_s) == ("17", 5)
    assert dict(both.changes) == {"memory_mib": 128, "vcpus": "2"}


@pytest.mark.parametrize("queue", [5, "", b"default"])
def test_a_queue_that_is_no_name_is_refused_before_anything_is_sent(queue: Any) -> None:
    with pytest.raises(ValueError, match="must be the name of a job queue"):
        option.order_of({"queue": queue})
    with pytest.raises(ValueError, match="must be the name of a job queue"):
        tm.job(queue=queue)
    assert option.order_of({"queue": None}).changes == (("queue", None),)


@tm.job
def doubled(item: int) -> int:
    return 2 * item


@pytest.mark.parametrize(
    ("submit", "told"),
    [
        (lambda: doubled.submit(1, tennant="x"), r"'tennant'; did you mean tenant=\?$"),
        (lambda: doubled.map([1], memmory=64), r"option memmory=; did you mean memory=\?$"),
        (lambda: doubled.submit_many([((1,), {"tenant": "x"})]), "argument 'tenant'$"),
        (lambda: doubled.submit(1, colour="green"), "argument 'colour'$"),
    ],
)
def test_a_mistyped_option_is_told_what_it_may_mean(
    submit: Callable[[], object], told: str
) -> None:
    with tm.eager(), pytest.raises(TypeError, match=told):
        submit()


@pytest.mark.parametrize(
    ("take", "told"),
    [
        (doubled.map, r"^doubled\.map takes items, such as a list, or a map, not 5; use submit"),
        (doubled.submit_many, r"^doubled\.submit_many takes a list of calls, not 5; use submit"),
        (tm.checkpoint, r"^checkpoint\(\) takes the items of a loop, such as .*, not 5\.$"),
    ],
)
def test_one_item_is_no_list_of_them(take: Callable[[Any], object], told: str) -> None:
    with tm.eager(), pytest.raises(TypeError, match=told):
        take(5)


def test_a_method_is_no_job() -> None:
    with pytest.raises(tm.SubmitError, match=r"Shop\.sell is a method and can't be a job; move it"):

        class Shop:
            @tm.job
            def sell(self, item: int) -> int:
                return item


def test_a_function_that_a_class_holds_is_a_job() -> None:
    class Shop:
        @staticmethod
        @tm.job
        def price(item: int) -> int:
            return 3 * item

    assert Shop().price(2) == 6
