"""What Python compiles for dataclasses, kept on disk: a fifth of the server's start.

`dataclasses` writes some six functions for each class as text and has them compiled, in every
process anew. Here the results are kept as Python keeps those of modules, in `__pycache__`. They
are found by the very text that they were compiled from, so that none can be out of date. Where
they can't be read or kept, a start takes longer, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import marshal
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Final

STALE: Final = 2
"""How many times as much is kept as one start uses, before what only others used is let go."""

_kept: dict[str, CodeType] = {}
_used: dict[str, CodeType] = {}


def begin() -> None:
    """Have dataclasses made from what is kept, until `end`."""
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
        magic, codes = marshal.loads(_file().read_bytes())  # to be trusted as a .pyc is
        if magic == importlib.util.MAGIC_NUMBER:
            _kept.update(codes)
    dataclasses.exec = _execute  # type: ignore[attr-defined]  # goes before the builtin there


def end() -> None:
    """Let Python make dataclasses as ever; keep what this start has used, if some was new."""
    if getattr(dataclasses, "exec", None) is _execute:
        del dataclasses.exec  # type: ignore[attr-defined]
    if not _used.keys() <= _kept.keys() and not sys.dont_write_bytecode:
        with contextlib.suppress(OSError):
            _keep(_kept | _used if len(_kept) < STALE * len(_used) else _used)
    _kept.clear()
    _used.clear()


def _execute(text: str, variables: dict[str, Any], names: dict[str, Any]) -> None:
    code = _used.get(text) or _kept.get(text) or compile(text, "<string>", "exec")
    _used[text] = code
    exec(code, variables, names)  # noqa: S102 - `dataclasses` would do just this


def _keep(codes: dict[str, CodeType]) -> None:
    staged = _file().with_suffix(f".{os.getpid()}")
    staged.write_bytes(marshal.dumps((importlib.util.MAGIC_NUMBER, codes)))
    staged.rename(_file())


def _file() -> Path:
    return Path(importlib.util.cache_from_source(__file__)).with_suffix(".dataclasses")
