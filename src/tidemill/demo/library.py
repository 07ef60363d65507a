"""The modules of Python's standard library, as they lie on this machine's disk."""

from __future__ import annotations

import importlib.machinery
import pkgutil
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import Final

# Python's own tests, not documentation for anybody; and programs, which run when imported.
LEFT_OUT: Final = frozenset({"__main__", "idle_test", "test", "tests"})
PROGRAMS: Final = frozenset({"idlelib.idle"})


@lru_cache(maxsize=1)
def module_names() -> tuple[str, ...]:
    """Every module, submodules included, in alphabetical order. Nothing is imported for it."""
    tops = sorted(sys.stdlib_module_names - LEFT_OUT)
    return tuple(name for top in tops for name in _with_submodules(top))


def _with_submodules(top: str) -> Iterator[str]:
    yield top
    spec = _spec(top)
    if spec is not None and spec.submodule_search_locations:
        yield from _inside(top, list(spec.submodule_search_locations))


def _inside(package: str, folders: list[str]) -> Iterator[str]:
    for found in pkgutil.iter_modules(folders):
        name = f"{package}.{found.name}"
        if found.name in LEFT_OUT or name in PROGRAMS:
            continue
        yield name
        if found.ispkg:
            yield from _inside(name, [f"{folder}/{found.name}" for folder in folders])


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def is_here(name: str) -> bool:
    """Whether a top-level module exists on this platform at all."""
    return _spec(name.partition(".")[0]) is not None
