"""Watching and ending many jobs from the command line: queues, tenants, top, why, filters, Tab."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import COMMAND, Shell, clean_environment, run, until
from terminal import terminal

from tidemill.sdk.local import LocalServer, private


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with private() as started:
        yield started


class Gated(Shell):
    """A user's shell, and a gate that jobs wait before."""

    def __init__(self, home: Path, data: Path) -> None:
        super().__init__(home, data)
        self.gate = home / "gate"

    def held(self, *options: str) -> str:
        """A job that runs until the gate opens."""
        script = f"until [ -e {self.gate} ]; do sleep 0.05; done"
        return self("submit", *options, "--", "sh", "-c", script).strip()

    def table(self, *arguments: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self(*arguments, "--json"))
        return found


@pytest.fixture
def shell(server: LocalServer, tmp_path: Path) -> Iterator[Gated]:
    made = Gated(tmp_path, server.data)
    yield made
    made.gate.touch()
    made("kill", "--yes", "--since", "1h")


def running(shell: Gated, job: str) -> bool:
    return '"RUNNING"' in shell("show", job, "--json")


def test_queues_and_tenants_count_what_runs_and_what_waits(shell: Gated) -> None:
    first = shell.held("--tenant", "acme", "--vcpus", "0.5")
    until(lambda: running(shell, first), "the first job runs")
    shell("submit", "--tenant", "globex", "--vcpus", "999", "--", "true")
    shell("submit", "--after", first, "--array", "3", "--", "true")
    queues = {each["queue"]: each for each in json.loads(shell("queues", "--json"))}
    assert queues["fair"]["jobs"]["RUNNING"] == queues["fair"]["jobs"]["RUNNABLE"] == 1
    assert queues["fair"]["vcpusInUse"] == 0.5
    assert queues["default"]["jobs"]["PENDING"] == 3, "an array counts as its children"
    assert queues["fair"]["oldestRunnableSubmittedAt"] > 0
    rows = [line.split("\t") for line in shell("queues").splitlines()]
    assert ["fair", "ENABLED", "1", "fair", "1", "1", "0"] in [row[:7] for row in rows]
    tenants = {each["tenant"]: each for each in json.loads(shell("tenants", "--json"))}
    assert tenants["acme"]["jobs"]["RUNNING"] == 1
    assert tenants["acme"]["vcpusInUse"] == 0.5
    assert (tenants["globex"]["jobs"]["RUNNABLE"], tenants["globex"]["vcpusInUse"]) == (1, 0)
    assert shell("tenants", "--tenant", "globex").split("\t")[0] == "globex"
    assert [job["jobId"] for job in json.loads(shell("ps", "--tenant", "acme", "--json"))] == [
        first
    ]
    assert "no queue 'nowhere'" in shell.refused("queues", "--queue", "nowhere")
    assert "no scheduling policy" in shell.refused("tenants", "--queue", "default")


def test_why_lists_conditions_what_is_ahead_and_an_estimate(
    server: LocalServer, shell: Gated
) -> None:
    well = shell("submit", "--name", "like", "--", "sleep", "0.2").strip()
    shell("wait", well)
    cpus = os.cpu_count() or 1
    holder = shell.held("--vcpus", str(cpus))
    until(lambda: running(shell, holder), "the machine is full")
    ahead = shell("submit", "--name", "ahead", "--", "true").strip()
    last = shell("submit", "--name", "like", "--", "sleep", "0.2").strip()
    told = shell("why", last)
    assert "[x] queue: `default` is ENABLED, of priority 1" in told
    assert "[ ] turn: 1 job is before it" in told
    assert f"[ ] environment local: needs 1 vCPU and 512 MiB; `local` has 0 of {cpus} vCPU" in told
    assert f"ahead: {ahead} (ahead)" in told
    assert "estimate: the only one like it that ended well took 2" in told
    assert "with 1 job before it and 1 at a time it starts in about" in told
    answer = json.loads(shell("why", last, "--json"))
    assert answer["ahead"] == [ahead]
    assert answer["measured"]["samples"] == 1
    holds = {each["name"]: each["holds"] for each in answer["conditions"]}
    assert holds == {"queue": True, "turn": False, "environment local": False}
    # Who may not ask the server itself, or asks AWS, is told what AWS's own calls tell.
    given = server.client("sts").get_session_token()["Credentials"]
    stranger = {
        **shell.environment,
        **server.environment(),
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
    told = run("why", last, environment=stranger).stdout
    assert "[ ] turn: 1 before it in `default`" in told
    assert f"`local` is ENABLED and VALID, with {cpus} vCPU at most" in told


def test_top_shows_everything_on_one_screen_and_leaves_by_q(shell: Gated) -> None:
    holder = shell.held("--name", "holder", "--vcpus", "0.1", "--tenant", "acme")
    until(lambda: running(shell, holder), "it runs")
    stuck = shell("submit", "--name", "stuck", "--vcpus", "999", "--", "true").strip()
    with terminal("top", environment=shell.environment) as screen:
        for words in ("QUEUE ", "RUNNING ", "WAITING ", "TENANT ", "q leaves", holder[:8]):
            screen.wait_said(words)
        screen.wait_said(f"{stuck[:8]}  stuck")
        assert "ended per second over the last minute" in screen.text
        screen.press("q")
        assert screen.finish() == 0
        assert "\x1b[?1049l" in screen.raw, "the screen that was there is back"
    with terminal("top", environment=shell.environment | {"NO_COLOR": "1"}) as screen:
        screen.wait_said("TENANT ")
        assert not set("3456") & {code[0] for code in screen.raw.split("\x1b[") if code[1:2] == "m"}
        screen.press("\x03")
        assert screen.finish() == 0
    frame = shell("top")
    assert "\x1b" not in frame
    assert holder in frame, "where no terminal is, there is room for whole ids"
    assert "needs 999 vCPU" in frame


def test_filters_count_and_ask_first(shell: Gated) -> None:
    tagged = shell.held("--name", "nightly-a", "--tag", "team=red", "--vcpus", "0.1")
    other = shell.held("--name", "nightly-b", "--tag", "team=blue", "--vcpus", "0.1")
    until(lambda: running(shell, tagged) and running(shell, other), "both run")
    said = shell.refused("kill", "--name", "nightly-*")
    assert "Kill 2 jobs: nightly-" in said
    assert "--yes" in said, "there is no terminal to ask at"
    with terminal("kill", "--tag", "team=red", environment=shell.environment) as screen:
        screen.wait_said("Kill 1 job: nightly-a? [y/N]")
        screen.press("n\n")
        assert screen.finish() == 1
        assert "Nothing was done" in screen.text
    assert running(shell, tagged)
    with terminal("kill", "--tag", "team=red", environment=shell.environment) as screen:
        screen.wait_said("[y/N]")
        screen.press("y\n")
        assert screen.finish() == 0
    shell("wait", tagged, code=143)
    assert running(shell, other)
    assert json.loads(shell("kill", "--yes", "--tag", "team=blue", "--json")) == {"killed": [other]}
    assert shell("kill", "--yes", "--tag", "team=blue", "--queue", "fair") == ""
    for arguments in (["kill"], ["kill", other, "--name", "x"], ["cancel", "--since", "soon"]):
        done = run(*arguments, environment=shell.environment)
        assert done.returncode == 2
        assert "Usage: " in done.stderr


def test_tab_completes_commands_ids_and_queues(shell: Gated, tmp_path: Path) -> None:
    job = shell.held("--vcpus", "0.1")

    def offered(words: str, environment: dict[str, str] | None = None) -> list[str]:
        done = subprocess.run(
            COMMAND,
            env={
                **(environment or shell.environment),
                "_TIDEMILL_COMPLETE": "bash_complete",
                "COMP_WORDS": f"tidemill {words}",
                "COMP_CWORD": str(len(words.split(" "))),
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    assert offered("qu") == ["queues"]
    assert "--follow" in offered("logs --f")
    assert offered(f"show {job[:8]}") == [job]
    assert offered("ps --queue f") == ["fair"]
    nobody = clean_environment(tmp_path, TIDEMILL_DATA=str(tmp_path / "nothing"))
    assert offered("show ", nobody) == [], "without a server nothing is offered, and nothing said"
    for shell_name in ("bash", "zsh", "fish"):
        assert "_TIDEMILL_COMPLETE" in shell("completion", shell_name)
