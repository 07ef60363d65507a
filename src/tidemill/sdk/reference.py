"""Functions by name: how a job finds again, in another process, the function it is to call.

A reference is `module:qualname`, or `/path/script.py:qualname` for a function of a program that
was started as a file. A script is imported under another name than `__main__`, so that the part
under `if __name__ == "__main__":` does not run again.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from tidemill.sdk.error import SubmitError

SCRIPT_MODULE: Final = "__tidemill_main__"

_main = "__main__"
_importing = ""


def reference_of(function: Callable[..., Any], holder: object) -> str:
    """The reference by which a job finds `holder`, the object that the function's name must give.

    Raises `SubmitError` for what can't be found by name: lambdas, functions inside functions,
    names that now mean something else, and what was typed at a prompt.
    """
    name = function.__qualname__
    if "<lambda>" in name:
        raise SubmitError(
            f"A lambda (in {function.__module__}) has no name by which a job could find it; "
            f"write it as a function with `def` at the top of a module."
        )
    if "<locals>" in name:
        raise SubmitError(
            f"{name.replace('.<locals>', '')} is defined inside a function, where a job can't "
            f"find it; move it to the top of its module."
        )
    place = _place(function)
    module = sys.modules.get(function.__module__)
    if module is None or _get(module, name) is not holder:
        raise SubmitError(
            f"{place}:{name} does not give this function (its name was taken by something else, "
            f"or another decorator wraps it); keep the job under its own name, with @tm.job "
            f"as the outermost decorator."
        )
    return f"{place}:{name}"


def _place(function: Callable[..., Any]) -> str:
    if function.__module__ not in ("__main__", SCRIPT_MODULE):
        return function.__module__
    main = sys.modules[function.__module__]
    spec = getattr(main, "__spec__", None)
    if function.__module__ == "__main__" and spec is not None and spec.name != "__main__":
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise SubmitError(
            f"{function.__qualname__} was typed at a prompt or in a notebook, where a job can't "
            f"find it; put it into a .py file and import it from there."
        )
    return str(Path(file).resolve())


def load(reference: str) -> Any:
    """Import what `reference` names; whatever the import raises comes out."""
    place, _, name = reference.rpartition(":")
    module = _load_script(place) if place.endswith(".py") else importlib.import_module(place)
    return reduce(getattr, name.split("."), module)


def _load_script(path: str) -> ModuleType:
    loaded = sys.modules.get(SCRIPT_MODULE) or sys.modules["__main__"]
    file = getattr(loaded, "__file__", None)
    if file is not None and str(Path(file).resolve()) == path:
        return loaded
    spec = importlib.util.spec_from_file_location(SCRIPT_MODULE, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT_MODULE] = module
    spec.loader.exec_module(module)
    return module


def load_for_job(reference: str) -> Any:
    """`load` in a job, where the import itself must not submit jobs: each would do so again."""
    global _importing
    _importing = reference
    try:
        return load(reference)
    finally:
        _importing = ""


def refuse_while_importing(name: str) -> None:
    """Raise `SubmitError` when a job is only just importing the code that wants to submit."""
    if _importing:
        place = _importing.rpartition(":")[0]
        raise SubmitError(
            f"{name} is submitted whenever {place} is imported, so each job would submit it "
            f'again; put what starts the work under `if __name__ == "__main__":`.'
        )


def adopt(module_name: str) -> None:
    """In a job: let `__main__`, in what the submitter pickled, mean this module."""
    global _main
    _main = module_name


def main_module() -> ModuleType:
    """The module that `__main__` means in pickled data: in a job, the submitter's program."""
    return sys.modules[_main]


def is_main(name: str) -> bool:
    """Whether a module's name, as pickled anywhere, means the program's main module here.

    A script is `__main__` where it submits and another module where its jobs run; so is a package
    started by `python -m`.
    """
    if name in ("__main__", SCRIPT_MODULE):
        return True
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec is not None and spec.name == name


def as_script(text: str) -> str:
    """A traceback with the names of a script's own classes as they are when it is run as one."""
    return text.replace(f"{SCRIPT_MODULE}.", "")


def class_name(kind: type) -> str:
    """A class's name with its module, which for a script is `__main__`."""
    module = "__main__" if kind.__module__ == SCRIPT_MODULE else kind.__module__
    return f"{module}.{kind.__qualname__}"


def _get(module: ModuleType, name: str) -> object:
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
