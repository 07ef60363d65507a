"""Sets resource limits, then becomes the attempt's program: `trampoline.py LIMITS FILE ARG0 ...`.

`LIMITS` is `number:soft:hard,...`. Run by its path in an interpreter of its own that imports
nothing else, and only for attempts that ask for limits.
"""

import os
import resource
import signal
import sys


def main(limits: str, program: str, *command: str) -> None:
    """Does not return."""
    for limit in limits.split(","):
        number, soft, hard = map(int, limit.split(":"))
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError) as error:
            sys.exit(f"tidemill: the limits asked for can't be set: {error}")
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execv(program, command)
    except OSError as error:
        sys.exit(f"tidemill: {command[0]} can't be started: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
