"""Work that may hang or crash, done in a process of its own so that nothing else suffers."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn


class Broken(Exception):
    """The work did not come to an end by itself; the message says how it ended."""


def isolated(work: Callable[[], str], timeout_s: float) -> str:
    """What `work` returns, from a forked child; `Broken` when it raised, crashed or hung.

    The child stays in this process group, so that whoever ends the job ends the child too.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work_and_exit(work, writing)
    os.close(writing)
    try:
        answer = _read(reading, time.monotonic() + timeout_s)
    finally:
        os.close(reading)
    if answer is None:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if answer is None:
        raise Broken(f"still busy after {timeout_s:g} s")
    if status < 0:
        raise Broken(f"crashed with signal {-status} ({signal.strsignal(-status)})")
    if not answer or status > 0:
        raise Broken(answer or f"ended the program with exit code {status}")
    return answer


def _work_and_exit(work: Callable[[], str], writing: int) -> NoReturn:
    status = 1
    try:
        answer = work()
        status = 0
    except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit too
        answer = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    try:
        sys.stdout.flush()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer.encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _read(pipe: int, deadline_s: float) -> str | None:
    """All that comes until the other end is closed, or None when the time is over first."""
    parts: list[bytes] = []
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
            return None
        part = os.read(pipe, 1 << 16)
        if not part:
            return b"".join(parts).decode("utf-8")
        parts.append(part)
