"""Filter patterns: which messages a search is for, as CloudWatch Logs writes it.

Terms (`error "out of memory" -debug`, `?error ?warn`), regular expressions (`%4[0-9]{2}%`), JSON
selectors (`{ $.level = "error" && $.ms > 100 }`) and fields by position (`[host, code = 5*]`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tidemill.services.logs.condition import compile_fields, compile_json
from tidemill.services.logs.regex import compile_regex
from tidemill.services.logs.scan import refuse

Matches = Callable[[str], bool]

_TERM: Final = re.compile(
    r'\s*(?P<sign>[-?]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<regex>[^%]+)%|(?P<plain>[^\s"]+))'
)


def compile_pattern(pattern: str) -> Matches:
    """What tells whether a message matches; every message matches the empty pattern.

    Raises InvalidParameterException with the place that can't be read.
    """
    text = pattern.strip()
    if not text:
        return _every
    if text.startswith("{"):
        return compile_json(text)
    if text.startswith("["):
        return compile_fields(text)
    return _compile_terms(text)


def _every(_message: str) -> bool:
    return True


def _compile_terms(text: str) -> Matches:
    """All plain terms and no excluded one; `?` terms count only where there are no others."""
    needed: list[Matches] = []
    excluded: list[Matches] = []
    optional: list[Matches] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise refuse(text, at, "a term, or the end of a quoted one")
        kind = {"-": excluded, "?": optional, "": needed}[match["sign"]]
        kind.append(_compile_term(match, text))
        at = match.end()
    if optional and not needed and not excluded:
        return lambda message: any(matches(message) for matches in optional)
    if len(needed) == 1 and not excluded:
        return needed[0]
    return lambda message: (
        all(matches(message) for matches in needed)
        and not any(matches(message) for matches in excluded)
    )


def _compile_term(match: re.Match[str], text: str) -> Matches:
    if (regex := match["regex"]) is not None:
        return compile_regex(regex, text, match.start("regex"))
    quoted = match["quoted"]
    term = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return lambda message: term in message
