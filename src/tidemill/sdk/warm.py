"""Forks jobs from an interpreter that has imported their module: `python -m tidemill.sdk.warm REF`.

Started by an engine's runner, in the jobs' directory and environment, with a Unix socket (packets
of JSON) as file 3. It says `ready` once `REF` is imported, or `failed`: a module that starts
threads can't be forked. From then on each packet it is sent is a list of attempts, `[id, argv,
environment]`, with the writing ends of their outputs; each is forked at once, reported as `forked`,
and as `ended` when it has been reaped. It ends when the socket is closed, and its forks with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

SOCKET_FILE: Final = 3
WORKER: Final = "tidemill.sdk.worker"
"""The module that knows how to be a job: `prepare(reference)`, `stage(argv, environment)` before
a fork where it has one, `main(argv)` in it. `$TIDEMILL_WORKER` names another."""
MARK: Final = "TIDEMILL_WARM"
"""Set by the runner to know its interpreters by; nothing for the jobs."""
PACKET_BYTES_MAX: Final = 256 * 1024
PACKET_FILES_MAX: Final = 128
_NO_FILE: Final = -1


def main(reference: str) -> None:
    """Serve until the runner hangs up."""
    os.environ.pop(MARK, None)
    runner = socket.socket(fileno=os.dup(SOCKET_FILE))
    os.close(SOCKET_FILE)
    try:
        worker = importlib.import_module(os.environ.get("TIDEMILL_WORKER", WORKER))
        files = _prepare(worker, reference)
    except BaseException as error:  # noqa: BLE001 - whatever it is, its jobs are spawned instead
        _tell(runner, [{"type": "failed", "reason": f"{type(error).__name__}: {error}"}])
        return
    gc.collect()
    gc.freeze()
    gc.disable()
    _flush()
    _tell(runner, [{"type": "ready", "files": files}])
    Host(runner, worker).serve()


class Host:
    """The warm interpreter at work."""

    def __init__(self, runner: socket.socket, worker: Any) -> None:
        self._runner = runner
        self._worker = worker
        self._stage = getattr(worker, "stage", None)
        self._children: dict[int, str] = {}
        self._news: list[dict[str, Any]] = []
        self._wake, self._written = os.pipe()
        for file in (self._wake, self._written):
            os.set_blocking(file, False)

    def serve(self) -> None:
        """Fork what is asked for and reap what has ended, until the runner hangs up."""
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._runner, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = [file for file, _ in poll.poll()]
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._runner.fileno() in ready and not self._take():
                break
            self._report()
        for pid in self._children:
            _kill(pid)

    def _take(self) -> bool:
        """Fork one packet's attempts; False when the runner has hung up."""
        packet, files, _, _ = socket.recv_fds(self._runner, PACKET_BYTES_MAX, PACKET_FILES_MAX)
        if not packet:
            return False
        for (attempt_id, argv, environment), output in zip(json.loads(packet), files, strict=True):
            if self._stage is not None:
                self._stage(argv, environment)
            at_ms = time.time_ns() // 1_000_000
            pid = os.fork()
            if pid == 0:
                self._become(argv, environment, output)
            os.close(output)
            self._children[pid] = attempt_id
            self._news.append(
                {"type": "forked", "attempt_id": attempt_id, "pid": pid, "at_ms": at_ms}
            )
            self._report()
        return True

    def _reap(self) -> None:
        """Take in the ends of forks, after what is left of their process groups was killed."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            _kill(found.si_pid)
            pid, status, usage = os.wait4(found.si_pid, 0)
            attempt_id = self._children.pop(pid, None)
            if attempt_id is not None:
                self._news.append(
                    {
                        "type": "ended",
                        "attempt_id": attempt_id,
                        "status": status,
                        "cpu_s": usage.ru_utime + usage.ru_stime,
                        "memory_peak_bytes": usage.ru_maxrss * 1024,
                    }
                )

    def _report(self) -> None:
        if self._news:
            news, self._news = self._news, []
            _tell(self._runner, news)

    def _become(self, argv: Sequence[str], environment: dict[str, str], output: int) -> None:
        """In the fork: be the attempt, and end as a program of its own would. Does not return."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(_NO_FILE)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(output, 1)
            os.dup2(output, 2)
            for file in (output, self._wake, self._written):
                os.close(file)
            self._runner.close()
            os.environ.update(environment)
            sys.argv = [self._worker.__file__, *argv]
            gc.enable()
            code = _run(self._worker, argv)
            threading._shutdown()  # type: ignore[attr-defined]  # joins threads, as an exit does
            atexit._run_exitfuncs()
            _flush()
        except BaseException:  # noqa: BLE001 - nothing above may see the parent's state
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                _flush()
            os._exit(code)


def _prepare(worker: Any, reference: str) -> list[tuple[str, int, int]]:
    """Import all there is to import; (path, mtime in ns, size) of the project's files."""
    begin_ns = time.time_ns()
    files = []
    for path in worker.prepare(reference):
        found = Path(path).stat()
        # One that was written to meanwhile may have been read before: it counts as changed.
        mtime_ns = found.st_mtime_ns if found.st_mtime_ns < begin_ns else 0
        files.append((path, mtime_ns, found.st_size))
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError(f"importing {reference} starts threads")
    return files


def _run(worker: Any, argv: Sequence[str]) -> int:
    """The worker's exit code, also where it exits by an exception."""
    try:
        return int(worker.main(argv) or 0)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 - printed, as the interpreter would
        traceback.print_exc()
    return 1


def _tell(runner: socket.socket, news: list[dict[str, Any]]) -> None:
    try:
        runner.send(json.dumps(news).encode())
    except OSError:
        return  # the runner is gone, which the next read says as well


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


if __name__ == "__main__":
    main(sys.argv[1])
