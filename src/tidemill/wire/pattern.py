"""The models' patterns, which are Java's regular expressions, as Python's.

What Java has and Python lacks is rewritten: Unicode and POSIX properties, a hyphen after a class
escape, astral ranges as surrogate pairs. A pattern that cannot be rewritten is not checked;
`reason_for_skipping` says why, and a test lists them all.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import Final

_PROPERTY: Final = re.compile(r"\\p\{(\w+)\}")
_CLASS: Final = re.compile(r"\[(?:\\.|[^\]\\])*\]")
_HYPHEN_AFTER_ESCAPE: Final = re.compile(r"(\\[wdsWDS])-(?=[^\]])")
_ASTRAL: Final = re.compile(r"\\u[Dd]800\\u[Dd][Cc]00-\\u[Dd][Bb][Ff][Ff]\\u[Dd][Ff][Ff][Ff]")
_ASCII_PROPERTIES: Final = {
    "ASCII": r"\x00-\x7f",
    "Alnum": "A-Za-z0-9",
    "Alpha": "A-Za-z",
    "Digit": "0-9",
    "Graph": "!-~",
    "Lower": "a-z",
    "Print": " -~",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r"\s",
    "Upper": "A-Z",
    "XDigit": "0-9A-Fa-f",
}
# All of Unicode's separators: few enough to name.
_SEPARATORS: Final = {
    "Z": " \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    "Zs": " \xa0\u1680\u2000-\u200a\u202f\u205f\u3000",
}


_SLOW: Final = "Python's backtracking takes seconds for some values that do not fit"
COSTLY: Final = {
    r"\/?.+\/.+": _SLOW,
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": _SLOW,
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": _SLOW,
}
"""Patterns with which a client could keep the server busy: S3's copy source, EventBridge's headers
of connections. The services check what these are for themselves."""


class UntranslatablePattern(Exception):
    """A pattern that Python has no equal for; the message says what in it."""


@cache
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    """The compiled pattern, which has to match whole values; None where it cannot be checked."""
    try:
        return _compile(pattern)
    except UntranslatablePattern:
        return None


def reason_for_skipping(pattern: str) -> str | None:
    """Why a pattern is not checked, or None when it is."""
    try:
        _compile(pattern)
    except UntranslatablePattern as error:
        return str(error)
    return None


def _compile(pattern: str) -> re.Pattern[str]:
    if pattern in COSTLY:
        raise UntranslatablePattern(COSTLY[pattern])
    if "&&" in pattern:
        raise UntranslatablePattern("an intersection of character classes")
    text = _ASTRAL.sub(r"\\U00010000-\\U0010FFFF", pattern)
    text = _CLASS.sub(_translate_class, text)
    text = _PROPERTY.sub(lambda match: f"[{_property(match.group(1))}]", text)
    flags = re.NOFLAG if r"\p{" in pattern else re.ASCII
    try:
        return re.compile(text, flags)
    except (re.error, OverflowError) as error:
        raise UntranslatablePattern(f"Python cannot read it: {error}") from None


def _translate_class(match: re.Match[str]) -> str:
    text = match.group()
    # Java reads a hyphen after a class escape as itself, and "[" within a class as a union.
    text = _HYPHEN_AFTER_ESCAPE.sub(r"\1\\-", text)
    text = "[" + re.sub(r"(?<!\\)\[", r"\\[", text[1:])
    names = set(_PROPERTY.findall(text))
    if {"L", "N"} <= names and ("_" in text or "P" in names):
        # With the underscore, letters and numbers are Python's \w, at no cost.
        text = text.replace(r"\p{L}", r"\w").replace(r"\p{N}", "")
    return _PROPERTY.sub(lambda found: _property(found.group(1)), text)


def _property(name: str) -> str:
    """The inside of a character class that holds what has the property."""
    known = _ASCII_PROPERTIES.get(name) or _SEPARATORS.get(name)
    return known or _category(name.removeprefix("Is"))


@cache
def _category(name: str) -> str:
    """The ranges of a Unicode category, or of a group of them (`L`, `Lu`)."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    if not ranges:
        raise UntranslatablePattern(f"the property {name}")
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
