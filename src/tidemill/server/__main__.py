"""`python -m tidemill.server`: what `tidemill serve` does, for programs that start a server.

It takes the same options, but imports no parser of command lines, which would cost a tenth of
the whole start. With `--life-fd`, a pipe's reading end, the server ends with all its jobs when
its program says a word there, and when its program has died and can say nothing: then it also
removes `--life-folder`, which nobody else is left to do.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tidemill.server import begin_start

if TYPE_CHECKING:
    from tidemill.server.config import ServerConfig


def _folder(text: str) -> Path:
    return Path(text).absolute()


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "--host": ("host", str),
    "--port": ("port", int),
    "--advertise": ("advertise", str),
    "--data": ("data", _folder),
    "--database": ("database", str),
    "--limits": ("limits", {"aws": "aws", "lifted": "lifted"}.__getitem__),
    "--auth": ("auth", {"keys": "keys", "off": "off"}.__getitem__),
    "--account": ("account", str),
    "--region": ("region", str),
    "--keep": ("keep_days", float),
    "--floor-mib": ("floor_mib", int),
    "--ready-fd": ("ready_fd", int),
    "--life-fd": ("life_fd", int),
    "--life-folder": ("life_folder", _folder),
}


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; the exit code."""
    begin_start()
    from tidemill.server.config import StartError
    from tidemill.server.serve import run

    try:
        config, life = read(arguments)
        try:
            run(config, ready_fd=life.ready_fd, life_fd=life.fd)
        finally:
            life.tidy()
    except StartError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    return 0


class Life:
    """How this server is tied to the program that started it."""

    def __init__(self, ready_fd: int | None, fd: int | None, folder: Path | None) -> None:
        self.ready_fd = ready_fd
        self.fd = fd
        self._folder = folder

    def tidy(self) -> None:
        """Remove the folder if the program is there no more."""
        if self.fd is None or self._folder is None:
            return
        os.set_blocking(self.fd, False)
        with contextlib.suppress(BlockingIOError):
            if not os.read(self.fd, 1):
                import shutil

                shutil.rmtree(self._folder, ignore_errors=True)


def read(arguments: Sequence[str]) -> tuple[ServerConfig, Life]:
    """What options say; raises `StartError`."""
    from tidemill.server.config import ServerConfig, StartError

    rest = iter(arguments)
    values: dict[str, Any] = {}
    for argument in rest:
        name, has_value, text = argument.partition("=")
        if name not in _OPTIONS:
            raise StartError(f"{argument} is no option of a server; see `tidemill serve --help`.")
        field, made = _OPTIONS[name]
        text = text if has_value else next(rest, "")
        try:
            if not text:
                raise ValueError
            values[field] = made(text)
        except (KeyError, ValueError):
            raise StartError(f"{name} can't be {text!r}; see `tidemill serve --help`.") from None
    life = Life(*(values.pop(name, None) for name in ("ready_fd", "life_fd", "life_folder")))
    return ServerConfig(**values), life


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # all is closed; taking the interpreter apart would cost time for nothing
