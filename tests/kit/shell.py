"""The `tidemill` command as a shell has it: a clean environment, what it printed, how it exited."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

DEADLINE_S = 30.0
COMMAND = (sys.executable, "-m", "tidemill")


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """A user's environment without any AWS setting or size of screen; `home` has the data."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for name in ("TIDEMILL_DATA", "XDG_DATA_HOME", "COLUMNS", "LINES"):
        kept.pop(name, None)
    nowhere = {
        "AWS_CONFIG_FILE": str(home / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws" / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return {**kept, "HOME": str(home), **nowhere, **variables}


def run(
    *arguments: str, environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def sentence(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one sentence of a command that failed as it should."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


class Served:
    """A `tidemill serve` in the foreground of some other terminal."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        self._ready, writing = os.pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--ready-fd", str(writing), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return os.pread(self._output.fileno(), 1 << 20, 0).decode()

    def wait_ready(self) -> None:
        """Return once it serves."""
        readable, _, _ = select.select([self._ready], [], [], DEADLINE_S)
        assert readable, self.said
        assert os.read(self._ready, 100), self.finish()

    def wait_said(self, words: str) -> None:
        """Return once it has printed `words`."""
        until(lambda: words in self.said, f"it says {words!r}; it says {self.said!r}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> str:
        """Everything that it printed, after it has ended."""
        self.process.wait(DEADLINE_S)
        return self.said

    def close(self) -> None:
        """End it, whatever it does."""
        os.close(self._ready)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._output.close()


@contextlib.contextmanager
def serve(*arguments: str, environment: Mapping[str, str]) -> Iterator[Served]:
    """A server for a `with` block, killed at its end if it runs then."""
    served = Served(*arguments, environment=environment)
    try:
        yield served
    finally:
        served.close()


def until(holds: Callable[[], object], what: str) -> None:
    """Return once `holds()`; a test that waits for long enough fails and says for what."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)  # polls


def processes_with(marker: str) -> list[int]:
    """The processes whose command line names `marker`, those that only await their parent not."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "cmdline").read_bytes().decode("utf-8", "replace"):
                    found.append(int(entry.name))
    return found


class Shell:
    """A user's shell in a folder of their own, beside the server with its data in `data`."""

    def __init__(self, home: Path, data: Path) -> None:
        self.home = home
        self.environment = clean_environment(home, TIDEMILL_DATA=str(data))

    def both(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What a command that exits with `code` printed, and what it said beside."""
        done = run(*arguments, environment=self.environment, cwd=self.home)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    def __call__(self, *arguments: str, code: int = 0) -> str:
        return self.both(*arguments, code=code)[0]

    def noted(self, *arguments: str, code: int = 0) -> str:
        """What a command said beside its output."""
        return self.both(*arguments, code=code)[1]

    def refused(self, *arguments: str, code: int = 1) -> str:
        """The one sentence by which a command is refused."""
        return sentence(run(*arguments, environment=self.environment, cwd=self.home), code)

    def submit(self, *arguments: str) -> str:
        """The id of a job that is submitted."""
        return self("submit", *arguments).strip()
