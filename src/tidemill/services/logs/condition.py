"""Conditions on a message's parts: JSON selectors and fields by position, with `&&` and `||`."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

import msgspec

from tidemill.services.logs.regex import compile_regex
from tidemill.services.logs.scan import Scanner

Holds = Callable[[Any], bool]
"""Whether a condition holds of a message's parts: a JSON value, or fields by name."""

Select = Callable[[Any], list[Any]]
"""The values that a selector finds; none where there is no such part."""

_COMPARISON: Final = re.compile(r"!=|<=|>=|=|<|>")
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
_WORDS: Final = re.compile(r"(IS\s+(?:NULL|TRUE|FALSE)|NOT\s+EXISTS)\b", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_REGEX: Final = re.compile(r"%([^%]+)%")
_BARE: Final = re.compile(r"[^\s\"%{}\[\]()&|,=<>!]+")
_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*|\*)|\[(\d+|\*|\"(?:[^\"\\]|\\.)*\"|'[^']*')\]")
_FIELD: Final = re.compile(r"[A-Za-z_][\w-]*")
_PART: Final = re.compile(r'\[[^\]]*\]|"[^"]*"|\S+')
_REST: Final = "..."
_JSON: Final = msgspec.json.Decoder()


def compile_json(text: str) -> Callable[[str], bool]:
    """A pattern in braces; messages that are no JSON objects do not match."""
    scanner = Scanner(text)
    scanner.expect("{")
    holds = _either(scanner, _json_operand)
    scanner.expect("}")
    scanner.expect_end()

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            return holds(_JSON.decode(message))
        except (msgspec.DecodeError, RecursionError):
            return False

    return matches


def compile_fields(text: str) -> Callable[[str], bool]:
    """A pattern in brackets: a message's words by position, `...` for any number of them.

    What stands in quotes or brackets is one word.
    """
    scanner = Scanner(text)
    scanner.expect("[")
    names: list[str] = []
    conditions: list[Holds] = []
    while not scanner.accept("]"):
        if names:
            scanner.expect(",")
        if scanner.accept(_REST):
            names.append(_REST)
            continue
        field = _FIELD.match(scanner.text, scanner.at)
        names.append(field.group() if field else f" {len(names)}")
        if field and (_follows(scanner, field.end(), ",]")):
            scanner.take(_FIELD)
        elif field:
            conditions.append(_either(scanner, _field_operand))
    scanner.expect_end()

    def matches(message: str) -> bool:
        fields = _fields(_PART.findall(message), names)
        return fields is not None and all(holds(fields) for holds in conditions)

    return matches


def _either(scanner: Scanner, operand: Callable[[Scanner], Select]) -> Holds:
    options = [_both(scanner, operand)]
    while scanner.accept("||"):
        options.append(_both(scanner, operand))
    return options[0] if len(options) == 1 else lambda parts: any(o(parts) for o in options)


def _both(scanner: Scanner, operand: Callable[[Scanner], Select]) -> Holds:
    needed = [_condition(scanner, operand)]
    while scanner.accept("&&"):
        needed.append(_condition(scanner, operand))
    return needed[0] if len(needed) == 1 else lambda parts: all(n(parts) for n in needed)


def _condition(scanner: Scanner, operand: Callable[[Scanner], Select]) -> Holds:
    if scanner.accept("("):
        holds = _either(scanner, operand)
        scanner.expect(")")
        return holds
    select = operand(scanner)
    if (word := scanner.take(_WORDS)) is not None:
        return _state(select, word.group().upper().split()[-1])
    if (sign := scanner.take(_COMPARISON)) is None:
        raise scanner.refusal("a comparison (=, !=, <, <=, >, >=), IS or NOT EXISTS")
    return _comparison(scanner, select, sign.group())


def _state(select: Select, word: str) -> Holds:
    if word == "EXISTS":
        return lambda parts: not select(parts)
    value = {"NULL": None, "TRUE": True, "FALSE": False}[word]
    return lambda parts: any(found is value for found in select(parts))


def _comparison(scanner: Scanner, select: Select, sign: str) -> Holds:
    at = scanner.at
    if (regex := scanner.take(_REGEX)) is not None:
        found = compile_regex(regex[1], scanner.text, at)
        wanted = sign == "="
        if sign not in ("=", "!="):
            raise scanner.refusal("= or != before a regular expression")
        return lambda parts: any(found(_text(v)) is wanted for v in select(parts))
    quoted, bare = scanner.take(_QUOTED), None
    if quoted is None and (bare := scanner.take(_BARE)) is None:
        raise scanner.refusal("a value: a number, or text, in quotes or without")
    text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else bare[0] if bare else ""
    number = None if quoted else _number(text)
    if number is not None:
        return _by_number(select, sign, number)
    if sign not in ("=", "!="):
        raise scanner.refusal(f"a number after {sign}")
    return _by_text(select, sign == "=", text)


def _by_number(select: Select, sign: str, number: float) -> Holds:
    compare = _OPERATORS[sign]

    def holds(parts: Any) -> bool:
        numbers = [_number(value) for value in select(parts)]
        if sign == "!=":
            return any(found is None or found != number for found in numbers)
        return any(found is not None and compare(found, number) for found in numbers)

    return holds


def _by_text(select: Select, wanted: bool, text: str) -> Holds:
    pieces = [re.escape(piece) for piece in text.split("*")]
    fullmatch = re.compile(".*".join(pieces), re.DOTALL).fullmatch

    def holds(parts: Any) -> bool:
        return any(
            value is not None and (fullmatch(_text(value)) is not None) is wanted
            for value in select(parts)
        )

    return holds


def _json_operand(scanner: Scanner) -> Select:
    if not scanner.accept("$"):
        raise scanner.refusal("a selector that begins with '$.'")
    steps: list[str | int] = []
    while (step := scanner.take(_STEP)) is not None:
        name, index = step.groups()
        if name is not None:
            steps.append(name)
        elif index.isdigit():
            steps.append(int(index))
        else:
            steps.append(index if index == "*" else index[1:-1])
    if not steps:
        raise scanner.refusal("a selector such as '$.level'")
    return lambda value: _select(value, steps)


def _select(value: Any, steps: list[str | int]) -> list[Any]:
    values = [value]
    for step in steps:
        found: list[Any] = []
        for each in values:
            if isinstance(each, dict) and isinstance(step, str):
                found += each.values() if step == "*" else [each[step]] if step in each else []
            elif isinstance(each, list) and step == "*":
                found += each
            elif isinstance(each, list) and isinstance(step, int) and step < len(each):
                found.append(each[step])
        values = found
    return values


def _field_operand(scanner: Scanner) -> Select:
    if (field := scanner.take(_FIELD)) is None:
        raise scanner.refusal("a field's name")
    name = field.group()
    return lambda fields: [fields[name]] if name in fields else []


def _fields(parts: list[str], names: list[str]) -> dict[str, str] | None:
    """The words by the names of their places; None when there are more or fewer of them."""
    if _REST not in names:
        return dict(zip(names, parts, strict=True)) if len(parts) == len(names) else None
    at = names.index(_REST)
    behind = len(names) - at - 1
    if len(parts) < at + behind:
        return None
    fields = dict(zip(names[:at], parts, strict=False))
    if behind:
        fields.update(zip(names[at + 1 :], parts[-behind:], strict=True))
    return fields


def _follows(scanner: Scanner, at: int, marks: str) -> bool:
    rest = scanner.text[at:].lstrip()
    return bool(rest) and rest[0] in marks


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
