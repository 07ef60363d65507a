"""What ListJobs is asked for: a statement over the jobs of a queue, and its parameters.

AWS's rules: without a status those that are RUNNING; one filter at a time, which searches all
states and leaves children out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.platform.store import Row
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import Kind, Names
from tidemill.services.batch.state import State


@dataclass(frozen=True, slots=True)
class Query:
    """Which jobs of a queue: a statement, and its own parameter and state where it has them."""

    statement: str
    value: str | int | None
    state: State | None = None

    def parameters(self, queue: str, before: int, limit: int) -> Row:
        """The parameters of the statement, in its order."""
        if self.value is None:
            assert self.state is not None
            return queue, int(self.state), before, limit
        base = (queue, self.value, before, limit)
        return base if self.state is None else (*base, int(self.state))


def asked(params: Mapping[str, Any], names: Names) -> Query:
    """What ListJobs' `filters` and `jobStatus` ask for."""
    filters = params.get("filters") or []
    if not filters:
        return Query("select_in_state", None, state_asked(params))
    if len(filters) > 1:
        raise Refused(f"filters: only one filter can be used at a time; got {len(filters)}.")
    name, values = filters[0].get("name"), filters[0].get("values") or []
    if len(values) != 1:
        raise Refused(f"filters: {name} takes exactly one value; got {len(values)}.")
    if "\0" in values[0]:
        raise Refused("filters: a value can't contain a NUL character.")
    return _filtered(name, values[0], params, names)


def _filtered(name: str | None, value: str, params: Mapping[str, Any], names: Names) -> Query:
    match name:
        case "JOB_NAME" if value.endswith("*"):
            return Query("select_named_alike", value[:-1].lower())
        case "JOB_NAME":
            return Query("select_named", value.lower())
        case "JOB_DEFINITION":
            return _of_definition(value, names)
        case "BEFORE_CREATED_AT":
            return Query("select_created_before", _milliseconds(name, value))
        case "AFTER_CREATED_AT":
            return Query("select_created_after", _milliseconds(name, value))
        case "SHARE_IDENTIFIER" if params.get("jobStatus"):
            state = state_asked(params)
            return Query("select_shared_in_state", value, state)
        case "SHARE_IDENTIFIER":
            return Query("select_shared", value)
        case _:
            raise Refused(
                "filters: name should be JOB_NAME, JOB_DEFINITION, BEFORE_CREATED_AT, "
                f"AFTER_CREATED_AT or SHARE_IDENTIFIER; got {name!r}."
            )


def _of_definition(value: str, names: Names) -> Query:
    if value.startswith("arn:"):
        return Query("select_defined", value)
    if value.endswith("*"):
        return Query("select_defined_alike", names.arn(Kind.DEFINITION, value[:-1]))
    if ":" in value:
        return Query("select_defined", names.arn(Kind.DEFINITION, value))
    return Query("select_defined_alike", names.arn(Kind.DEFINITION, value) + ":")


def _milliseconds(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 15):
        raise Refused(f"filters: {name} takes milliseconds since 1970; got {value[:50]!r}.")
    return int(value)


def state_asked(params: Mapping[str, Any]) -> State:
    """The state that `jobStatus` names, RUNNING where it names none."""
    name = params.get("jobStatus") or State.RUNNING.name
    if name not in State.__members__:
        raise Refused(f"jobStatus should be one of {', '.join(State.__members__)}; got {name!r}.")
    return State[name]
