"""Makes an attempt's process, or says in one sentence why it can't be made.

`os.posix_spawn` with a session of its own: no Python runs between fork and exec. The working
directory is the runner's own at that moment, and the input is the runner's, /dev/null; limits are
set by `trampoline`, for the few attempts that ask for any.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

from tidemill.engines.process.ghost import ATTEMPT
from tidemill.engines.process.protocol import Order

SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_FILE: Final = 3
FOUND_MAX: Final = 1000
"""How many programs' places are remembered, one a name and search path."""
Actions = tuple[tuple[int, int, int], ...]
_SHORTAGES: Final = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT)
)
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


class SpawnError(Exception):
    """The process can't be made; the message is the reason as AWS gives it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"CannotStartContainerError: {sentence}")


class ShortageError(SpawnError):
    """The machine has no file, process or memory to give for now: it may go well later."""


def is_shortage(error: OSError) -> bool:
    """Whether the system had not enough of something, which it may have later."""
    return error.errno in _SHORTAGES


class Spawner:
    """Spawns processes; holds what they share."""

    def __init__(self, work_folder: Path) -> None:
        """From now on this process may open as many files as the system lets it, as each attempt
        takes one; what is spawned keeps the limit that there was.
        """
        self._work_folder = str(work_folder)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._found: dict[tuple[str, str], str] = {}
        self._lent = os.dup(self._null)
        self._is_lent = False
        self._files_soft, self._files_hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._limit_files(self._files_hard)
        self._base = {
            "PATH": os.environ.get("PATH", SEARCH_PATH),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }

    def environment(self, order: Order) -> dict[str, str]:
        """What the attempt's process finds in its environment."""
        return {**self._base, **order.environment, ATTEMPT: order.attempt_id}

    def spawn(self, order: Order, output: int) -> int:
        """Start the attempt with its output going to `output`; the pid. Raises `SpawnError`."""
        if not order.command:
            raise SpawnError("it names no command, and no image is run here that would have one")
        environment = self.environment(order)
        self._enter(order)
        program = self._find(order.command[0], environment["PATH"])
        command = order.command
        if order.ulimits:
            program, command = _limited(program, order)
        return self._exec(order, program, command, environment, self._output(self._lend(output)))

    def spawn_host(
        self, order: Order, command: list[str], environment: dict[str, str], sock: int
    ) -> int:
        """Start a warm interpreter for attempts like `order`, its socket as file 3; the pid."""
        self._enter(order)
        program = self._find(command[0], environment["PATH"])
        files = (*self._output(self._null), (os.POSIX_SPAWN_DUP2, self._lend(sock), HOST_FILE))
        return self._exec(order, program, command, environment, files)

    def _enter(self, order: Order) -> None:
        """Go where the attempt's process shall begin."""
        folder = order.working_directory or self._work_folder
        try:
            os.chdir(folder)
        except FileNotFoundError:
            raise SpawnError(f"the working directory {folder} does not exist") from None
        except (OSError, ValueError) as error:
            raise SpawnError(f"the working directory {folder} can't be entered: {error}") from None

    def _output(self, output: int) -> Actions:
        return (
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        )

    def _exec(
        self,
        order: Order,
        program: str,
        command: list[str],
        environment: dict[str, str],
        files: Actions,
    ) -> int:
        try:
            self._limit_files(self._files_soft)
            return os.posix_spawn(
                program,
                command,
                environment,
                file_actions=files,
                setsid=True,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            self._found.clear()
            kind = ShortageError if is_shortage(error) else SpawnError
            raise kind(_sentence(error, order.command[0], program)) from None
        except ValueError as error:
            raise SpawnError(f"the command or its environment is not valid: {error}") from None
        finally:
            self._limit_files(self._files_hard)
            if self._is_lent:
                self._is_lent = False
                os.dup2(self._null, self._lent, inheritable=False)

    def _lend(self, file: int) -> int:
        """`file` for the process that is spawned next, by a number that it may have itself: the C
        library refuses others.
        """
        if file < self._files_soft:
            return file
        self._is_lent = True
        return os.dup2(file, self._lent, inheritable=False)

    def _limit_files(self, count: int) -> None:
        if self._files_soft != self._files_hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, self._files_hard))

    def _find(self, name: str, search_path: str) -> str:
        """The program's file: `name` itself when it has a slash, else the first on the path."""
        if "/" in name:
            return name
        found = self._found.get((name, search_path))
        if found is not None and os.access(found, os.X_OK):
            return found
        for folder in search_path.split(":"):
            path = f"{folder}/{name}" if folder else name
            if os.access(path, os.X_OK) and Path(path).is_file():
                if path.startswith("/"):
                    if len(self._found) >= FOUND_MAX:
                        self._found.clear()
                    self._found[name, search_path] = path
                return path
        raise SpawnError(f"`{name}` was not found on PATH ({search_path})")


def _limited(program: str, order: Order) -> tuple[str, list[str]]:
    """The command that sets the limits and then becomes the attempt's. Raises `SpawnError`."""
    limits = []
    for name, soft, hard in order.ulimits:
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise SpawnError(f"the ulimit `{name}` is not known on this machine")
        highest = resource.getrlimit(number)[1]
        if os.geteuid() != 0 and highest != resource.RLIM_INFINITY and not 0 <= hard <= highest:
            raise SpawnError(
                f"the ulimit `{name}` asks for {hard}, and {highest} is the most that the "
                f"server's user may have"
            )
        limits.append(f"{number}:{soft}:{hard}")
    trampoline = str(Path(__file__).with_name("trampoline.py"))
    python = sys.executable
    command = [python, "-ISE", trampoline, ",".join(limits), program, *order.command]
    return python, command


def _sentence(error: OSError, name: str, program: str) -> str:
    exists = Path(program).exists()
    match error.errno:
        case errno.ENOENT if exists:
            return f"the interpreter that `{name}` names in its first line does not exist"
        case errno.ENOENT:
            return f"`{name}` does not exist"
        case errno.EACCES if Path(program).is_dir():
            return f"`{name}` is a folder, not a program"
        case errno.EACCES:
            return f"`{name}` is not executable (chmod +x would make it so)"
        case errno.ENOEXEC:
            return f"`{name}` is no program for this machine, nor a script that begins with #!"
        case errno.E2BIG:
            return "the command and its environment are longer than the system takes"
    return f"`{name}` can't be started: {error.strerror}"
