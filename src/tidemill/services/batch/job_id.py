"""Job ids taken apart: a job's (`id`), an array child's (`id:3`), a node's (`id#1`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobId:
    """What an id names; `index` and `node` are None for a whole job."""

    parent: str
    index: int | None = None
    node: int | None = None

    @classmethod
    def parse(cls, text: str) -> JobId | None:
        """Take `text` apart; None when it can't be the id of anything."""
        for mark in (":", "#"):
            parent, found, number = text.partition(mark)
            if found:
                if not parent or not number.isascii() or not number.isdigit() or len(number) > 9:
                    return None
                part = int(number)
                return cls(parent, index=part) if mark == ":" else cls(parent, node=part)
        return cls(text) if text else None

    def __str__(self) -> str:
        if self.index is not None:
            return f"{self.parent}:{self.index}"
        return self.parent if self.node is None else f"{self.parent}#{self.node}"
