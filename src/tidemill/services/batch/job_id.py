"""Job ids taken apart: a job's (`id`), an array child's (`id:3`), a node's (`id#1`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"([A-Za-z0-9_-]{1,100})(?:([:#])([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class JobId:
    """What an id names; `index` and `node` are None for a whole job."""

    parent: str
    index: int | None = None
    node: int | None = None

    @classmethod
    def parse(cls, text: str) -> JobId | None:
        """Take `text` apart; None when it can't be the id of anything."""
        match = _ID.fullmatch(text)
        if match is None:
            return None
        parent, mark, number = match.groups()
        if mark is None:
            return cls(parent)
        return cls(parent, index=int(number)) if mark == ":" else cls(parent, node=int(number))

    def __str__(self) -> str:
        if self.index is not None:
            return f"{self.parent}:{self.index}"
        return self.parent if self.node is None else f"{self.parent}#{self.node}"
