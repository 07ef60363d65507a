"""The `tidemill` command on a pseudo-terminal: what it paints there, and keys that are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from shell import COMMAND, DEADLINE_S

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


class Terminal:
    """A command that runs on a terminal of its own, as its controlling one."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        cwd: Path | None = None,
        width: int = 80,
        height: int = 24,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._said = b""
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={"TERM": "xterm", **environment},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    @property
    def raw(self) -> str:
        """All that it has printed so far."""
        return self._said.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """The same without colours and movements."""
        return _ESCAPES.sub("", self.raw)

    def wait_said(self, words: str) -> None:
        """Return once it has printed `words`."""
        deadline = time.monotonic() + DEADLINE_S
        while words not in self.text:
            assert time.monotonic() < deadline, (
                f"not within {DEADLINE_S:g} s: {words!r}: {self.text}"
            )
            assert self._read(), f"ended without {words!r}: {self.text}"

    def press(self, keys: str) -> None:
        """Press keys; `\\x03` is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def finish(self) -> int:
        """Its exit code, once it has ended."""
        while self._read():
            pass
        return self.process.wait(DEADLINE_S)

    def _read(self) -> bool:
        """Take in what there is, waiting for some; False when there will be no more."""
        readable, _, _ = select.select([self._ours], [], [], DEADLINE_S)
        assert readable, f"nothing more within {DEADLINE_S:g} s: {self.text}"
        with contextlib.suppress(OSError):  # the other end has gone
            part = os.read(self._ours, 65536)
            self._said += part
            return bool(part)
        return False

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(
    *arguments: str, environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[Terminal]:
    """A command on a terminal of 80 columns and 24 lines, for a `with` block."""
    opened = Terminal(*arguments, environment=environment, cwd=cwd)
    try:
        yield opened
    finally:
        opened.close()
