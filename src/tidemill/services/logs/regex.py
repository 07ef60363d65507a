"""The regular expressions of filter patterns: a small set, so that none can run away.

CloudWatch Logs has classes, anchors, alternatives and repetitions of single characters. Python's
engine takes exponential time only where groups repeat or are referred back to, so those are
refused; and of a very long message only the beginning is searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tidemill.services.logs.scan import refuse

SEARCHED_CHARACTERS: Final = 8_192
_REFUSED: Final = re.compile(r"\(\?|\)[*+?{]|\\\d")


def compile_regex(expression: str, text: str, at: int) -> Callable[[str], bool]:
    """Whether a message holds `expression`, which stands at `at` in the pattern `text`."""
    if _REFUSED.search(expression):
        raise refuse(text, at, "a regular expression without repeated groups and back-references")
    try:
        search = re.compile(expression.removeprefix(".*")).search
    except re.error:
        raise refuse(text, at, "a regular expression") from None
    return lambda message: search(message[:SEARCHED_CHARACTERS]) is not None
