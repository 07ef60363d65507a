"""Parameters: `Ref::name` in a command stands for the value of the parameter `name`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"Ref::([A-Za-z0-9_.-]*[A-Za-z0-9_-])")


def refers(command: Sequence[str]) -> bool:
    """Whether any word of `command` holds a reference."""
    return any("Ref::" in word for word in command)


def substitute(command: Sequence[str], parameters: Mapping[str, str]) -> list[str]:
    """`command` with every reference to a known parameter replaced; unknown ones stay as is."""

    def value(match: re.Match[str]) -> str:
        return parameters.get(match[1], match[0])

    words = []
    for word in command:
        if "Ref::" in word:
            whole = parameters.get(word[5:]) if word.startswith("Ref::") else None
            word = _REFERENCE.sub(value, word) if whole is None else whole
        words.append(word)
    return words
