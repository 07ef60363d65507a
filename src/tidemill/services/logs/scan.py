"""Reading a filter pattern from left to right, and saying where it can't be read."""

from __future__ import annotations

import re

from tidemill.platform.fault import Fault


def refuse(text: str, at: int, wanted: str) -> Fault:
    """The refusal of a pattern, with the place and what would be right there."""
    found = repr(text[at : at + 20]) if at < len(text) else "the end"
    return Fault(
        "InvalidParameterException",
        f"Invalid filter pattern at character {at + 1}: {wanted} is expected, not {found}.",
    )


class Scanner:
    """A place in a pattern; white space between tokens is passed over."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._skip()

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The token at this place, if it is such a one."""
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            self._skip()
        return match

    def accept(self, literal: str) -> bool:
        """Pass over `literal` if it is here, whether it did."""
        if not self.text.startswith(literal, self.at):
            return False
        self.at += len(literal)
        self._skip()
        return True

    def expect(self, literal: str) -> None:
        """Pass over `literal`, which must be here."""
        if not self.accept(literal):
            raise self.refusal(f"'{literal}'")

    def expect_end(self) -> None:
        """Nothing may follow."""
        if self.at < len(self.text):
            raise self.refusal("the end")

    def refusal(self, wanted: str) -> Fault:
        """The refusal of what is here."""
        return refuse(self.text, self.at, wanted)

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
