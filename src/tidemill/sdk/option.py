"""What a call may be given beside its arguments: `tenant=`, `key=`, `delay=`, another `memory=`.

Options change one submission. What belongs to the function's code, such as which exceptions are
worth another try, stands in `@tm.job` alone.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from typing import Any, Final, Protocol, TypedDict, runtime_checkable

from tidemill.sdk import concurrency, expiry, quantity, retry
from tidemill.sdk.definition import Needs
from tidemill.sdk.error import SubmitError

OWN: Final = "tidemill:"
"""How the tags begin by which the library tells Tidemill's server what AWS has no word for."""
DELAY_TAG: Final = OWN + "delay"
_SHARE: Final = re.compile(r"[A-Za-z0-9]{1,255}")
_PRIORITY_MAX: Final = 9999
Time = float | str | timedelta


@runtime_checkable
class Awaited(Protocol):
    """A run or a map that another job can wait for."""

    def upstream_ids(self) -> list[str]:
        """The jobs to wait for."""


class Options(TypedDict, total=False):
    """The options of `submit`, `map`, `submit_many` and `options`."""

    tenant: str | int | None
    """Who it is for: tenants of a queue share it fairly. Letters and digits."""
    priority: int | None
    """Among the tenant's own jobs, higher goes first: 0 to 9999."""
    depends_on: Awaited | str | Iterable[Awaited | str]
    """Runs, maps or job ids that must have succeeded before it starts."""
    tags: Mapping[str, str]
    """AWS's tags of the job."""
    key: str | None
    """The same key gives, within a day, the run that was submitted with it first."""
    delay: Time | None
    """How long it waits before it may start. Not on AWS, which has no word for it."""
    vcpus: float
    memory: int | str
    timeout: Time | None
    attempts: int
    backoff: Time | tuple[Time, Time] | None
    environment: Mapping[str, str]
    """Variables, beside and before those of `@tm.job`."""
    queue: str | None
    concurrency: int | str | None
    keep: Time | None
    """How long results are kept: "7d". None is for ever."""


NAMES: Final = frozenset(Options.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The options of one submission, checked."""

    tenant: str | None = None
    priority: int | None = None
    depends_on: tuple[Awaited | str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    key: str | None = None
    delay_s: int | None = None
    changes: tuple[tuple[str, Any], ...] = ()
    """What differs of the function's `Needs`, by their names."""

    def needs(self, needs: Needs) -> Needs:
        """What this submission needs, of a function that needs `needs`."""
        changes = dict(self.changes)
        rules = needs.retry
        if "attempts" in changes:
            rules = replace(rules, attempts=changes.pop("attempts"))
        if "backoff" in changes:
            rules = replace(rules, backoff=changes.pop("backoff"))
        if "environment" in changes:
            merged = dict(needs.environment) | dict(changes["environment"])
            changes["environment"] = tuple(merged.items())
        return replace(needs, retry=rules, **changes)

    def text(self) -> str:
        """The changes as text, to be kept with the job: who does it again makes them again."""
        return json.dumps(dict(self.changes), separators=(",", ":"), default=astuple)


NOTHING: Final = Order()


def changes_of(text: str) -> tuple[tuple[str, Any], ...]:
    """The changes that `Order.text` wrote."""
    found: dict[str, Any] = json.loads(text)
    for name in ("environment", "backoff"):
        if found.get(name) is not None:
            found[name] = tuple(
                tuple(each) if isinstance(each, list) else each for each in found[name]
            )
    if found.get("concurrency") is not None:
        found["concurrency"] = concurrency.Concurrency(*found["concurrency"])
    return tuple(found.items())


def order_of(options: Mapping[str, Any]) -> Order:
    """The options checked; `ValueError` or `TypeError` names the one that can't be meant."""
    unknown = next((name for name in options if name not in NAMES), None)
    if unknown is not None:
        meant = hint(unknown) or f"; there are {', '.join(sorted(NAMES))}."
        raise TypeError(f"There is no option {unknown}={meant}")
    if not options:
        return NOTHING
    delay = options.get("delay")
    return Order(
        tenant=_tenant(options.get("tenant")),
        priority=_priority(options.get("priority")),
        depends_on=_depends_on(options.get("depends_on", ())),
        tags=tuple(_texts(options.get("tags", {}), "tags").items()),
        key=_key(options.get("key")),
        delay_s=None if delay is None else quantity.timeout_s(delay, "delay"),
        changes=tuple(_changes(options).items()),
    )


def hint(mistyped: str) -> str:
    """How a sentence about an unknown keyword ends: the option that may be meant, or nothing."""
    close = difflib.get_close_matches(mistyped, sorted(NAMES), n=1)
    return f"; did you mean {close[0]}=?" if close else ""


def merged(before: Order, options: Mapping[str, Any]) -> Order:
    """An order with more options; one that it has already is given anew."""
    if not options:
        return before
    after = order_of(options)
    given: dict[str, Any] = {
        name: getattr(after, field) for name, field in _FIELDS.items() if name in options
    }
    changes = tuple((dict(before.changes) | dict(after.changes)).items())
    return replace(
        before, changes=changes, **{_FIELDS[name]: value for name, value in given.items()}
    )


_FIELDS: Final = {
    **{name: name for name in ("tenant", "priority", "depends_on", "tags", "key")},
    "delay": "delay_s",
}


def _changes(options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "vcpus" in options:
        found["vcpus"] = quantity.vcpus_text(options["vcpus"])
    if "memory" in options:
        found["memory_mib"] = quantity.memory_mib(options["memory"])
    if "timeout" in options:
        timeout = options["timeout"]
        found["timeout_s"] = None if timeout is None else quantity.timeout_s(timeout)
    if "attempts" in options:
        found["attempts"] = retry.retry_of(options["attempts"]).attempts
    if "backoff" in options:
        found["backoff"] = retry.retry_of(backoff=options["backoff"]).backoff
    if "environment" in options:
        found["environment"] = environment_of(options["environment"])
    if "concurrency" in options:
        found["concurrency"] = concurrency.concurrency_of(options["concurrency"])
    if "queue" in options:
        found["queue"] = queue_of(options["queue"])
    if "keep" in options:
        found["keep_days"] = expiry.days_of(options["keep"])
    return found


def queue_of(given: object) -> str | None:
    """A `queue=`, checked: a name, or None for the project's."""
    if given is None or (isinstance(given, str) and given):
        return given
    raise ValueError(f"queue={given!r} must be the name of a job queue, or None for the project's.")


def environment_of(given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """An `environment=`, checked: names and values are strings."""
    return tuple(_texts(given or {}, "environment").items())


def _texts(given: object, name: str) -> dict[str, str]:
    if not isinstance(given, Mapping) or not all(
        isinstance(text, str) for pair in given.items() for text in pair
    ):
        raise TypeError(f"{name}={given!r} must be a mapping of strings to strings.")
    return dict(given)


def _tenant(given: object) -> str | None:
    if given is None:
        return None
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(text, str) or not _SHARE.fullmatch(text):
        raise ValueError(
            f"tenant={given!r} must be of letters and digits alone, as AWS's share identifiers "
            f"are; use the tenant's number, or its name without the rest."
        )
    return text


def _priority(given: object) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= _PRIORITY_MAX:
        raise ValueError(f"priority={given!r} must be a whole number from 0 to {_PRIORITY_MAX}.")
    return given


def _key(given: object) -> str | None:
    if given is None or (isinstance(given, str) and given):
        return given
    raise ValueError(f"key={given!r} must be a string that is not empty.")


def _depends_on(given: object) -> tuple[Awaited | str, ...]:
    every = (given,) if isinstance(given, Awaited | str) else given
    found = tuple(every) if isinstance(every, Iterable) else (every,)
    for each in found:
        if not isinstance(each, Awaited | str):
            raise TypeError(f"depends_on={each!r} must be a run, a map or the id of a job.")
    return found


def refuse_twice(name: str, function_name: str) -> SubmitError:
    """The error for an option that stands both in `options()` and in the call."""
    return SubmitError(
        f"{name}= of {function_name} is given twice, by options() and in the call; leave one out."
    )
