"""Jobs of the library fork from a warm interpreter, and can't tell that they do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tidemill.engines.conformance")

from tidemill.engines.conformance import Lab  # noqa: E402
from tidemill.engines.process import proc  # noqa: E402
from tidemill.engines.process.engine import ProcessEngine  # noqa: E402
from tidemill.platform.engine import Attempt  # noqa: E402

WORKER = """
import importlib, os, sys

def prepare(reference):
    module = importlib.import_module(reference)
    return [module.__file__]

def main(argv):
    module = importlib.import_module(argv[0])
    return module.run(*argv[1:])
"""
TASK = """
import os, sys, time, pathlib
imported_by = os.getpid()

def run(what, *rest):
    return globals()[what](*rest)

def tell():
    print("forked" if imported_by != os.getpid() else "spawned", TEXT, flush=True)
    print(os.environ["AWS_BATCH_JOB_ID"], os.environ.get("TIDEMILL_WARM"), file=sys.stderr)
    print(os.getcwd(), sys.argv[1:], os.getsid(0) == os.getpid())

def leave(code):
    import atexit
    atexit.register(print, "bye")
    sys.exit(int(code))

def wait(path):
    pathlib.Path(path + ".new").write_text(f"{os.getpid()} {os.getppid()}")
    os.rename(path + ".new", path + ".up")
    while not pathlib.Path(path).exists():
        time.sleep(0.01)  # the job's own

def daemon(path):
    if not os.fork():
        os.setsid()
        pathlib.Path(path).write_text(str(os.getpid()))
        os.execv("/bin/sleep", ["sleep", "60"])
    while not pathlib.Path(path).exists():
        time.sleep(0.01)  # the job's own

def hog():
    held = bytearray(200 << 20)
    time.sleep(60)  # the job's own
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "fake_worker.py").write_text(WORKER)
    (folder / "task.py").write_text(TASK.replace("TEXT", "1"))
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(lambda: ProcessEngine(tmp_path / "runner", tmp_path / "logs"), tmp_path)
    lab.open()
    yield lab
    lab.close()


def job(lab: Lab, project: Path, *argv: str, module: str = "task", **rest: object) -> Attempt:
    """An attempt as the library submits it, but with a worker that needs no server."""
    return lab.attempt(
        *(sys.executable, "-m", "tidemill.sdk.worker", module, *argv),
        environment={"TIDEMILL_WORKER": "fake_worker", "AWS_BATCH_JOB_ID": argv[0]},
        working_directory=str(project),
        **rest,
    )


def ends(lab: Lab, attempt: Attempt) -> int | None:
    lab.start(attempt)
    return lab.exited(attempt).exit_code


def test_a_fork_is_like_a_program_of_its_own(lab: Lab, project: Path) -> None:
    tell = job(lab, project, "tell")
    assert ends(lab, tell) == 0
    assert lab.output(tell) == [
        "forked 1",
        "tell None",
        f"{project} ['task', 'tell'] True",
    ]
    leave = job(lab, project, "leave", "7")
    assert ends(lab, leave) == 7
    assert lab.output(leave) == ["bye"]


def test_a_changed_file_of_the_project_is_imported_anew(lab: Lab, project: Path) -> None:
    for text in ("1", "22", "333"):  # Python itself tells versions of a second by size
        (project / "task.py").write_text(TASK.replace("TEXT", text))
        tell = job(lab, project, "tell")
        assert ends(lab, tell) == 0
        assert lab.output(tell)[0] == f"forked {text}"


def test_attempts_share_an_interpreter_and_run_beside_each_other(lab: Lab, project: Path) -> None:
    go = project / "go"
    both = [job(lab, project, "wait", str(project / name)) for name in ("a", "b")]
    lab.start(*both)
    for name in ("a", "b"):
        lab.until((project / f"{name}.up").exists)
    parents = {(project / f"{name}.up").read_text().split()[1] for name in ("a", "b")}
    assert len(parents) == 1
    for name in ("a", "b"):
        (project / name).touch()
    for attempt in both:
        assert lab.exited(attempt).exit_code == 0
    assert not go.exists()


@pytest.mark.parametrize(
    ("top", "why"),
    [("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
      "importing odd starts threads"),
     ("raise ValueError('not today')", "ValueError: not today"),
     ("import os; os._exit(3)", "it died while it was imported")],
)  # fmt: skip
def test_what_can_t_be_forked_is_spawned_and_the_log_says_why(
    lab: Lab, project: Path, tmp_path: Path, top: str, why: str
) -> None:
    (project / "odd.py").write_text(top)
    for _ in range(2):
        odd = job(lab, project, "x", module="odd")
        # The real worker runs then: it says how it is to be called.
        assert ends(lab, odd) == 2
        assert "tidemill.sdk.worker takes" in lab.output(odd)[0]
    [line] = (tmp_path / "runner" / "runner.log").read_text().splitlines()
    assert f"jobs of odd in {project}" in line
    assert line.endswith(why)


def test_an_import_in_progress_holds_up_nobody_else(lab: Lab, project: Path) -> None:
    (project / "slow.py").write_text(
        "import time, pathlib\n"
        f"while not pathlib.Path({str(project / 'go')!r}).exists(): time.sleep(0.01)\n"
        "def run(*_): print('at last')\n"
    )
    slow, dropped = (job(lab, project, "x", module="slow", cpu_milli=500) for _ in range(2))
    lab.start(slow, dropped)
    assert ends(lab, lab.attempt("/bin/true")) == 0
    lab.stop(dropped)
    assert lab.exited(dropped).exit_code is None
    (project / "go").touch()
    assert lab.exited(slow).exit_code == 0
    assert lab.output(slow) == ["at last"]


def test_a_fork_is_stopped_with_all_that_it_started(lab: Lab, project: Path) -> None:
    wait = job(lab, project, "wait", str(project / "never"))
    lab.start(wait)
    lab.until((project / "never.up").exists)
    lab.stop(wait)
    assert lab.exited(wait).exit_code == 143
    daemon = job(lab, project, "daemon", str(project / "daemon"))
    assert ends(lab, daemon) == 0
    pid = int((project / "daemon").read_text())
    lab.until(lambda: _is_gone(pid))


def test_a_fork_is_held_to_its_memory(lab: Lab, project: Path) -> None:
    hog = job(lab, project, "hog", memory_mib=100)
    lab.start(hog)
    end = lab.exited(hog)
    assert (end.exit_code, end.reason[:16]) == (137, "OutOfMemoryError")


def test_the_death_of_the_interpreter_loses_no_fork(lab: Lab, project: Path) -> None:
    wait = job(lab, project, "wait", str(project / "go"))
    lab.start(wait)
    lab.started(wait)
    lab.until((project / "go.up").exists)
    host = int((project / "go.up").read_text().split()[1])
    os.kill(host, signal.SIGKILL)
    lab.until(lambda: proc.stat(host) is None)
    tell = job(lab, project, "tell")
    assert ends(lab, tell) == 0
    assert lab.output(tell)[0] == "forked 1"
    (project / "go").touch()
    assert lab.exited(wait).exit_code == 0


def test_the_death_of_the_runner_leaves_no_fork(lab: Lab, project: Path) -> None:
    wait = job(lab, project, "wait", str(project / "never"))
    lab.start(wait)
    lab.started(wait)
    lab.until((project / "never.up").exists)
    pids = [int(pid) for pid in (project / "never.up").read_text().split()]
    parent = proc.stat(pids[1])
    assert parent is not None
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so that neither can end by itself
    os.kill(parent.parent, signal.SIGKILL)
    assert lab.lost(wait)
    assert all(map(_is_gone, pids))


def _is_gone(pid: int) -> bool:
    entry = proc.stat(pid)
    return entry is None or entry.state in "ZX"
