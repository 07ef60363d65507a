"""The process engine: what any engine does, and what comes of running on this machine."""

from __future__ import annotations

import os
import resource
import signal
import socket
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tidemill.engines.conformance")

from tidemill.engines.conformance import GROUP, POOL, EngineSuite, Lab  # noqa: E402
from tidemill.engines.process import proc  # noqa: E402
from tidemill.engines.process.engine import ProcessEngine  # noqa: E402
from tidemill.platform.engine import Exited, Lost, Pool  # noqa: E402


class TestProcessEngine(EngineSuite):
    """The suite over the real runner, and what only this engine promises."""

    def make_engine(self, folder: Path) -> ProcessEngine:
        return ProcessEngine(folder / "runner", folder / "logs")

    def test_an_attempt_without_a_command_fails_alone(self, lab: Lab, scratch: Path) -> None:
        other = lab.shell(_until(scratch / "go"))
        lab.start(other, job := lab.attempt())
        assert lab.exited(job).reason.startswith("CannotStartContainerError: it names no command")
        (scratch / "go").touch()
        assert lab.exited(other).exit_code == 0

    def test_the_whole_process_group_is_stopped(self, lab: Lab, scratch: Path) -> None:
        job = lab.shell(f"sh -c '{_note(scratch, 'child')}; sleep 60' & {_note(scratch)}; wait")
        lab.start(job)
        pid = _noted(lab, scratch, "child")
        lab.stop(job)
        assert lab.exited(job).exit_code == 143
        lab.until(lambda: _is_gone(pid))

    @pytest.mark.parametrize("start", ["", "setsid", "nohup", "exec -a x setsid -f"])
    def test_what_a_job_leaves_behind_ends_with_it(
        self, lab: Lab, scratch: Path, start: str
    ) -> None:
        script = scratch / "script"
        script.write_text(f"#!/bin/sh\n{_note(scratch, 'daemon')}\nexec sleep 60 2>&- >&-\n")
        script.chmod(0o755)
        job = lab.attempt(
            "bash", "-c", f"({start} {script} &) ; {_until(scratch / 'daemon')}; echo done"
        )
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        pid = _noted(lab, scratch, "daemon")
        lab.until(lambda: _is_gone(pid))
        assert lab.output(job)[-1:] == ["done"]

    def test_what_a_job_puts_in_the_background_lives_as_long_as_the_job(
        self, lab: Lab, scratch: Path
    ) -> None:
        helper = scratch / "helper"
        helper.write_text(
            f"#!/bin/sh\n(sleep 0.1; exec sh -c '{_note(scratch, 'late')}; exec sleep 60') &\n"
        )
        helper.chmod(0o755)
        job = lab.shell(f"(setsid {helper} &); {_until(scratch / 'late')}; kill -0 $(cat late)",
                        working_directory=str(scratch))  # fmt: skip
        lab.start(job)
        assert lab.exited(job).exit_code == 0

    def test_nothing_of_the_runner_is_open_in_a_job(self, lab: Lab) -> None:
        job = lab.shell("ls -l /proc/$$/fd; true")
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        files = dict(line.split()[-3::2] for line in lab.output(job)[1:])
        assert files.keys() == {"0", "1", "2"}
        assert files["0"] == "/dev/null"
        assert files["1"] == files["2"]

    def test_signals_are_as_a_program_expects_them(self, lab: Lab) -> None:
        job = lab.shell("sed -n 's/^Sig\\(Ign\\|Blk\\):.//p' /proc/self/status; yes | head -1")
        lab.start(job)
        lab.exited(job)
        blocked, ignored, yes = lab.output(job)
        standard = (1 << 31) - 1  # the C library ignores two of its own beyond these
        assert (int(blocked, 16), int(ignored, 16) & standard, yes) == (0, 0, "y")

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (["./nothing"], "`./nothing` does not exist"),
            (["/etc"], "`/etc` is a folder, not a program"),
            (["/etc/passwd"], "`/etc/passwd` is not executable (chmod +x would make it so)"),
            (["./text"], "`./text` is no program for this machine, nor a script that begins"),
            (["./orphan"], "the interpreter that `./orphan` names in its first line does not"),
            (["/bin/true", "x" * 200_000], "the command and its environment are longer than"),
            (["/bin/true", "a\0b"], "the command or its environment is not valid: embedded null"),
        ],
    )
    def test_what_can_t_be_started_is_told_in_a_sentence(
        self, lab: Lab, scratch: Path, command: list[str], reason: str
    ) -> None:
        for name, text in (("text", "words"), ("orphan", "#!/no/such/interpreter\n")):
            (scratch / name).write_text(text)
            (scratch / name).chmod(0o755)
        job = lab.attempt(*command, working_directory=str(scratch))
        lab.start(job)
        end = lab.exited(job)
        assert end.exit_code is None
        assert end.reason.startswith(f"CannotStartContainerError: {reason}")

    def test_a_missing_working_directory_is_named(self, lab: Lab) -> None:
        job = lab.attempt("/bin/true", working_directory="/no/such/folder")
        lab.start(job)
        assert lab.exited(job).reason == (
            "CannotStartContainerError: the working directory /no/such/folder does not exist"
        )

    def test_a_program_is_looked_for_on_the_job_s_own_path(self, lab: Lab, scratch: Path) -> None:
        (scratch / "tool").write_text("#!/bin/sh\necho mine\n")
        (scratch / "tool").chmod(0o755)
        job = lab.attempt("tool", environment={"PATH": f"{scratch}:/usr/bin:/bin"})
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        assert lab.output(job) == ["mine"]

    def test_limits_are_set_where_asked_for(self, lab: Lab) -> None:
        job = lab.shell(
            "ulimit -n; ulimit -Hn; ulimit -c", ulimits=(("nofile", 123, 456), ("core", 0, 0))
        )
        unknown = lab.attempt("/bin/true", ulimits=(("wishes", 3, 3),))
        lab.start(job, unknown)
        assert lab.exited(job).exit_code == 0
        assert lab.output(job) == ["123", "456", "0"]
        assert "the ulimit `wishes` is not known" in lab.exited(unknown).reason

    def test_a_torrent_of_output_is_kept_whole_and_slows_nobody(
        self, lab: Lab, scratch: Path
    ) -> None:
        torrent = lab.shell(f"yes '{'x' * 99}' | head -c 40000000; {_until(scratch / 'quick')}")
        quick = lab.shell(f"touch {scratch}/quick")
        lab.start(torrent, quick)
        assert lab.exited(quick).exit_code == 0
        assert lab.exited(torrent).exit_code == 0
        sizes = [path.stat().st_size for path in (lab.folder / "logs").rglob("*.log")]
        assert len(sizes) == 1
        assert 40_000_000 - 65_536 <= sizes[0] <= 40_000_000
        assert set(lab.output(torrent)) == {"x" * 99}
        assert _runner(lab).rss_bytes < 64 << 20

    def test_shared_memory_counts_once(self, lab: Lab, scratch: Path) -> None:
        work = (
            "import os, time, pathlib\n"
            "held = bytearray(80 << 20)\n"
            "for _ in range(4):\n"
            "    if not os.fork():\n"
            "        time.sleep(60)\n"
            f"pathlib.Path('{scratch}/forked').touch()\n"
            f"while not pathlib.Path('{scratch}/go').exists(): time.sleep(0.01)\n"
        )
        job = lab.attempt("python3", "-c", work, memory_mib=200)
        lab.start(job)
        lab.until((scratch / "forked").exists)
        _let_pass(lab, looks=3)
        (scratch / "go").touch()
        assert lab.exited(job).exit_code == 0

    def test_a_killed_runner_s_jobs_end_and_are_lost_before_anything_starts(
        self, lab: Lab, scratch: Path
    ) -> None:
        jobs = [
            lab.shell(f"{_note(scratch, 'plain')}; sleep 60"),
            lab.shell(f"setsid sh -c '{_note(scratch, 'away')}; exec sleep 60' & sleep 60"),
        ]
        lab.start(*jobs)
        pids = [_noted(lab, scratch, name) for name in ("plain", "away")]
        for job in jobs:
            lab.started(job)
        dead = "{{ ! test -e /proc/{0} || grep -q 'State:.[ZX]' /proc/{0}/status; }} || exit 9"
        after = lab.shell("; ".join(dead.format(pid) for pid in pids))
        lab.start(after)
        os.kill(_runner(lab).pid, signal.SIGKILL)
        for job in jobs:
            assert lab.lost(job)
        assert lab.exited(after).exit_code == 0
        lab.start(jobs[0])
        assert not any(isinstance(seen, Exited) for seen in lab.reports(jobs[0]))

    def test_no_end_is_lost_nor_run_again_over_many_deaths_of_the_runner(
        self, lab: Lab, scratch: Path
    ) -> None:
        jobs = [lab.shell(f"echo {i} >> {scratch}/ran") for i in range(300)]
        lab.start(*jobs)
        for goal in (40, 110, 200):
            lab.until(lambda goal=goal: len(lab.seen) >= goal)
            os.kill(_runner(lab).pid, signal.SIGKILL)
        ends = [_end(lab, job) for job in jobs]
        ran = (scratch / "ran").read_text().split()
        assert len(ran) == len(set(ran))
        done = [str(i) for i, end in enumerate(ends) if isinstance(end, Exited)]
        assert set(done) <= set(ran)
        assert len(jobs) - len(done) <= 3 * 20

    def test_a_process_that_hides_does_not_outlive_its_runner(
        self, lab: Lab, scratch: Path
    ) -> None:
        hide = scratch / "hide"
        hide.write_text(f"#!/bin/sh\n{_note(scratch, 'hidden')}\nexec sleep 60\n")
        hide.chmod(0o755)
        job = lab.shell(f"(env -i setsid /bin/sh {hide} &); sleep 60")
        lab.start(job)
        pid = _noted(lab, scratch, "hidden")
        journal = lab.folder / "runner" / "journal"
        lab.until(lambda: b"stray" in journal.read_bytes())
        os.kill(_runner(lab).pid, signal.SIGKILL)
        assert lab.lost(job)
        assert _is_gone(pid)

    def test_an_innocent_process_outlives_a_runner_that_knew_its_pid(
        self, lab: Lab, scratch: Path
    ) -> None:
        job = lab.shell("sleep 60")
        lab.start(job)
        lab.started(job)
        bystander = lab.shell("true")  # only its id is wanted
        innocent = os.posix_spawn(
            "/bin/sleep", ["sleep", "60"], {"TIDEMILL_ATTEMPT": bystander.attempt_id}, setsid=True
        )
        try:
            os.kill(_runner(lab).pid, signal.SIGKILL)
            assert lab.lost(job)
            assert os.waitpid(innocent, os.WNOHANG) == (0, 0)
        finally:
            os.kill(innocent, signal.SIGKILL)
            os.waitpid(innocent, 0)

    def test_an_end_recorded_by_a_dead_runner_is_reported_by_the_next(
        self, lab: Lab, scratch: Path
    ) -> None:
        job = lab.shell(f"echo x >> {scratch}/ran; exit 5")
        lab.start(job)
        lab.exited(job)
        os.kill(_runner(lab).pid, signal.SIGKILL)
        lab.reopen()
        lab.start(job)
        assert lab.exited(job).exit_code == 5
        assert (scratch / "ran").read_text() == "x\n"

    def test_a_half_written_journal_loses_only_its_end(self, lab: Lab) -> None:
        first = lab.shell("exit 5")
        lab.start(first)
        lab.exited(first)
        journal = lab.folder / "runner" / "journal"
        os.kill(_runner(lab).pid, signal.SIGSTOP)
        with journal.open("ab") as file:
            file.write(b"\x40\x00\x00\x00half")
        os.kill(_runner(lab).pid, signal.SIGKILL)
        lab.reopen()
        lab.recover(first)
        assert lab.exited(first).exit_code == 5

    def test_held_back_attempts_wait_while_there_is_no_server(
        self, lab: Lab, scratch: Path
    ) -> None:
        first = lab.shell(_until(scratch / "go"), cpu_milli=2000)
        held = lab.shell(f"touch {scratch}/ran", cpu_milli=2000)
        lab.start(first, held)
        lab.started(first)
        lab.run(lab.engine.close(stop_jobs=False))
        (scratch / "go").touch()
        lab.reopen()
        lab.recover(first)
        assert lab.exited(first).exit_code == 0
        lab.recover(held)
        assert lab.exited(held).exit_code == 0

    def test_a_full_disk_holds_attempts_up_and_loses_none(self, lab: Lab, scratch: Path) -> None:
        first = lab.shell(f"{_note(scratch)}; {_until(scratch / 'go')}; echo done")
        lab.start(first)
        lab.started(first)
        pid = _noted(lab, scratch, "pid")
        runner = _runner(lab).pid
        limits = resource.prlimit(runner, resource.RLIMIT_FSIZE)
        resource.prlimit(runner, resource.RLIMIT_FSIZE, (100, limits[1]))
        second = lab.shell(f"echo ran >> {scratch}/ran")
        lab.start(second)
        (scratch / "go").touch()
        lab.until(lambda: proc.stat(pid) is None)  # the runner has seen its end
        assert not (scratch / "ran").exists()
        assert not any(isinstance(seen, Exited) for seen in lab.seen)
        resource.prlimit(runner, resource.RLIMIT_FSIZE, limits)
        assert lab.exited(first).exit_code == 0
        assert lab.exited(second).exit_code == 0
        assert lab.output(first) == ["done"]

    def test_attempts_wait_while_there_are_no_files_for_them(self, lab: Lab, scratch: Path) -> None:
        first = lab.shell(f"{_until(scratch / 'go')}; echo done")
        lab.start(first)
        lab.started(first)
        runner = _runner(lab).pid
        limits = resource.prlimit(runner, resource.RLIMIT_NOFILE)
        highest = max(int(each.name) for each in Path(f"/proc/{runner}/fd").iterdir())
        resource.prlimit(runner, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        holes = highest + 1 - len(list(Path(f"/proc/{runner}/fd").iterdir()))
        crowd = [lab.shell(_until(scratch / "go"), cpu_milli=1) for _ in range(holes)]
        second = lab.shell("echo ran", cpu_milli=1)
        held, dropped = lab.shell("true"), lab.shell("true")
        lab.start(*crowd, second, held, dropped)
        lab.stop(dropped)
        assert lab.exited(dropped).exit_code is None
        assert [seen for seen in lab.seen if isinstance(seen, Exited)] == [lab.exited(dropped)]
        resource.prlimit(runner, resource.RLIMIT_NOFILE, limits)
        assert lab.exited(second).exit_code == 0
        assert lab.output(second) == ["ran"]
        (scratch / "go").touch()
        assert lab.exited(first).exit_code == 0
        assert {lab.exited(each).exit_code for each in (*crowd, held)} == {0}

    def test_a_deep_folder_is_no_obstacle(self, tmp_path: Path) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        lab = Lab(lambda: self.make_engine(deep), deep)
        lab.open()
        job = lab.attempt("/bin/true")
        lab.start(job)
        assert lab.exited(job).exit_code == 0
        lab.close()

    def test_a_connection_that_talks_nonsense_disturbs_nobody(self, lab: Lab) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            here = os.open(lab.folder / "runner", os.O_PATH)
            sock.connect(f"/proc/self/fd/{here}/runner.sock")
            os.close(here)
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert sock.recv(1) == b""
        job = lab.attempt("/bin/true")
        lab.start(job)
        assert lab.exited(job).exit_code == 0

    def test_a_pool_smaller_than_an_attempt_runs_it_alone(self, lab: Lab) -> None:
        lab.resize(Pool(name=POOL.name, cpu_milli=500, memory_mib=100))
        jobs = [lab.attempt("/bin/true") for _ in range(2)]
        lab.start(*jobs)
        for job in jobs:
            assert lab.exited(job).exit_code == 0

    def test_a_log_stream_that_can_t_be_written_is_told(self, lab: Lab) -> None:
        (lab.folder / "logs" / "+aws+batch+job").write_text("in the way")
        job = lab.attempt("/bin/true")
        lab.start(job)
        end = lab.exited(job)
        assert end.exit_code is None
        assert end.reason.startswith("CannotStartContainerError: its log stream can't be written")
        assert job.log_group == GROUP


def _note(folder: Path, name: str = "pid") -> str:
    return f"echo $$ > {folder}/{name}.new; mv {folder}/{name}.new {folder}/{name}"


def _noted(lab: Lab, folder: Path, name: str) -> int:
    lab.until((folder / name).exists)
    return int((folder / name).read_text())


def _until(path: Path) -> str:
    return f"until [ -e {path} ]; do sleep 0.01; done"


def _is_gone(pid: int) -> bool:
    entry = proc.stat(pid)
    return entry is None or entry.state in "ZX"


def _runner(lab: Lab) -> proc.Stat:
    """The runner, but no child of it that is about to become a job and looks like it."""
    folder = str(lab.folder / "runner").encode()

    def find() -> list[proc.Stat]:
        table = proc.processes()
        alike = {
            pid
            for pid, entry in table.items()
            if folder in (proc._read(f"/proc/{pid}/cmdline") or b"").split(b"\0")
            and entry.state not in "ZX"
        }
        return [table[pid] for pid in alike if table[pid].parent not in alike]

    lab.until(lambda: bool(find()))
    return find()[0]


def _end(lab: Lab, job: object) -> Exited | Lost:
    lab.until(lambda: any(isinstance(seen, Exited | Lost) for seen in lab.reports(job)))
    return next(seen for seen in lab.reports(job) if isinstance(seen, Exited | Lost))


def _let_pass(lab: Lab, *, looks: int) -> None:
    """Return when the runner has looked at the memory of its jobs so many times."""
    runner = _runner(lab)

    def reads() -> int:
        text = Path(f"/proc/{runner.pid}/io").read_text()
        return int(text.split("syscr:")[1].split()[0])

    # Nothing else makes an idle runner read: a look reads one file per process at least.
    goal = reads() + looks * 40
    lab.until(lambda: reads() >= goal)
