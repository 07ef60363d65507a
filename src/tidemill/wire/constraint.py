"""What the model demands of parameters: required members, lengths, ranges, patterns, enumerations.

Compiled per shape into closures, or into None where nothing is demanded. All violations of a
request are reported together, in the words of AWS's services.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from typing import Any, Final, Literal, NamedTuple

from tidemill.wire.error import WireError, item_step, render_path, shorten
from tidemill.wire.model import Ref, ServiceModel, Shape
from tidemill.wire.pattern import compile_pattern
from tidemill.wire.service import Profile, profile_of

Steps = tuple[Any, str] | None
"""Where a value stands: the steps to its container, and the step from there."""
Found = list["Violation"]
Check = Callable[[Any, Steps, Found], None]

_REPORTED_MAX: Final = 10


class Violation(NamedTuple):
    """What one value breaks: the input's member it stands in, and the sentence about it."""

    member: str
    sentence: str
    is_missing: bool


class Checker:
    """Compiles a service's shapes into checks."""

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._profile: Profile = profile_of(model.name)
        self._made: dict[str, Check | None] = {}

    def shape(self, ref: Ref) -> Check | None:
        """The check of a shape, or None where it demands nothing."""
        name = ref.shape
        if name in self._made:
            return self._made[name]
        shape = self._model.shapes[name]
        # A recursive shape finds this forwarder while its own check is being made.
        self._made[name] = lambda value, steps, found: self._forward(name, value, steps, found)
        self._made[name] = self._make(name, shape)
        return self._made[name]

    def _forward(self, name: str, value: Any, steps: Steps, found: Found) -> None:
        check = self._made[name]
        if check is not None:
            check(value, steps, found)

    def _make(self, name: str, shape: Shape) -> Check | None:
        if shape.type == "structure":
            return None if shape.document or shape.eventstream else self._structure(shape)
        own: list[Check] = []
        sized = shape.type in ("string", "character", "blob", "list", "map")
        if shape.min is not None or shape.max is not None:
            make = _length if sized else _range
            own.append(make(shape.min, shape.max, shape.sensitive))
        if shape.enum and name not in self._profile.unchecked_enums:
            own.append(_enumeration(shape.enum, shape.sensitive))
        if shape.pattern and (pattern := compile_pattern(shape.pattern)) is not None:
            own.append(_pattern(pattern, shape.pattern, shape.sensitive))
        if shape.type == "list" and shape.member is not None:
            own.extend(_items(check) for check in [self.shape(shape.member)] if check)
        if shape.type == "map":
            assert shape.key is not None
            assert shape.value is not None
            own.extend(_keys(check) for check in [self.shape(shape.key)] if check)
            own.extend(_values(check) for check in [self.shape(shape.value)] if check)
        return _all(own)

    def _structure(self, shape: Shape) -> Check | None:
        checks = {}
        for name, ref in shape.members.items():
            check = self.shape(ref)
            if check is not None:
                checks[name] = check
        required = tuple(shape.required)
        own: list[Check] = []
        if required:
            own.append(_required(required))
        if checks:
            own.append(_members(tuple(checks.items())))
        if shape.union:
            own.append(_exactly_one(tuple(shape.members)))
        return _all(own)


def refuse(found: Found, profile: Profile, code: str | None = None) -> WireError:
    """The one error for all that was found wrong with a request; `code` overrides the service's."""
    only_missing = all(violation.is_missing for violation in found)
    sentences = [violation.sentence for violation in found[:_REPORTED_MAX]]
    if len(found) > _REPORTED_MAX:
        sentences.append("and more")
    plural = "s" if len(found) > 1 else ""
    return WireError(
        code or (profile.missing if only_missing and profile.missing else profile.invalid),
        f"{len(found)} validation error{plural} detected: {'; '.join(sentences)}",
    )


def _report(found: Found, steps: Steps, shown: str | None, demand: str) -> None:
    path: list[str] = []
    while steps is not None:
        steps, step = steps
        path.append(step)
    value = "Value" if shown is None else f"Value {shown}"
    place = render_path(reversed(path))
    sentence = f"{value} at '{place}' failed to satisfy constraint: Member must {demand}"
    found.append(Violation(path[-1] if path else "", sentence, shown == "null"))


def _show(value: Any, is_sensitive: bool) -> str | None:
    if is_sensitive or isinstance(value, bytes):
        return None
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, list):
        value = f"[{', '.join(str(item) for item in value[:20])}]"
    elif isinstance(value, dict):
        value = f"{{{', '.join(str(key) for key in list(value)[:20])}}}"
    return f"'{shorten(str(value))}'"


def _all(checks: list[Check]) -> Check | None:
    if len(checks) <= 1:
        return checks[0] if checks else None
    first, rest = checks[0], tuple(checks[1:])

    def check(value: Any, steps: Steps, found: Found) -> None:
        before = len(found)
        first(value, steps, found)
        # What is too long is not matched against a pattern as well.
        if len(found) == before or isinstance(value, dict):
            for another in rest:
                another(value, steps, found)

    return check


def _required(names: tuple[str, ...]) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        for name in names:
            if name not in value:
                _report(found, (steps, name), "null", "not be null")

    return check


def _members(checks: tuple[tuple[str, Check], ...]) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        for name, check_member in checks:
            if name in value:
                check_member(value[name], (steps, name), found)

    return check


def _exactly_one(names: tuple[str, ...]) -> Check:
    demand = f"have exactly one of these set: [{', '.join(names)}]"

    def check(value: Any, steps: Steps, found: Found) -> None:
        if len(value) != 1:
            _report(found, steps, _show(value, is_sensitive=False), demand)

    return check


def _items(check_item: Check) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        for number, item in enumerate(value, 1):
            check_item(item, (steps, item_step(number)), found)
            if len(found) > _REPORTED_MAX:
                return

    return check


def _keys(check_key: Check) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        for key in value:
            check_key(key, steps, found)
            if len(found) > _REPORTED_MAX:
                return

    return check


def _values(check_value: Check) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        for key, item in value.items():
            check_value(item, ((steps, key), "member"), found)
            if len(found) > _REPORTED_MAX:
                return

    return check


def _length(low: float | None, high: float | None, is_sensitive: bool) -> Check:
    least, most = low or 0, high if high is not None else float("inf")

    def check(value: Any, steps: Steps, found: Found) -> None:
        # A payload that the server keeps in a file has no length here.
        size = len(value) if isinstance(value, Sized) else least
        if not least <= size <= most:
            word, bound = ("greater", low) if size < least else ("less", high)
            demand = f"have length {word} than or equal to {bound:g}"
            _report(found, steps, _show(value, is_sensitive), demand)

    return check


def _range(low: float | None, high: float | None, is_sensitive: bool) -> Check:
    def check(value: Any, steps: Steps, found: Found) -> None:
        word: Literal["greater", "less"]
        if low is not None and not value >= low:
            word, bound = "greater", low
        elif high is not None and not value <= high:
            word, bound = "less", high
        else:
            return
        demand = f"have value {word} than or equal to {bound}"
        _report(found, steps, _show(value, is_sensitive), demand)

    return check


def _enumeration(values: list[str], is_sensitive: bool) -> Check:
    allowed = frozenset(values)
    demand = f"satisfy enum value set: [{', '.join(values)}]"

    def check(value: Any, steps: Steps, found: Found) -> None:
        if value not in allowed:
            _report(found, steps, _show(value, is_sensitive), demand)

    return check


def _pattern(pattern: re.Pattern[str], text: str, is_sensitive: bool) -> Check:
    matches = pattern.fullmatch
    demand = f"satisfy regular expression pattern: {text}"

    def check(value: Any, steps: Steps, found: Found) -> None:
        if matches(value) is None:
            _report(found, steps, _show(value, is_sensitive), demand)

    return check
