"""Functions of a script as jobs from the command line: one call, a file of rows, retries."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import Shell, run, sentence, until
from terminal import terminal

from tidemill.sdk.local import LocalServer, private

APP = """
import os, sys, time
from dataclasses import dataclass
from pathlib import Path

import tidemill as tm

HERE = Path(__file__).parent


@dataclass
class Contact:
    name: str
    age: int


def enrich(row):
    return {**row, "length": len(row["name"])}


@tm.job(memory="64MiB")
def older(contact: Contact) -> Contact:
    if contact.age < 0 and not (HERE / "mended").exists():
        raise ValueError(f"{contact.name} is not born")
    return Contact(contact.name, contact.age + 1)


def held(row):
    tm.progress(1, 4, "waiting")
    while not (HERE / "gate").exists():
        time.sleep(0.02)
    return row["name"]


def report(who: str, year: int = 2025, *, tags=()):
    print("reporting to", who)
    return {"who": who, "year": year, "tags": tags}


def fail(code: int):
    sys.exit(code)


if __name__ == "__main__":
    raise SystemExit("a script that is imported is not run")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with private() as started:
        yield started


class Filed(Shell):
    """A user's shell in a folder with a script and a file of rows."""

    def __init__(self, home: Path, data: Path) -> None:
        super().__init__(home, data)
        (home / "app.py").write_text(APP)
        self.rows("contacts.csv", [("ann", 1), ("bob", 2), ("cy", 3), ("dee", -4), ("eve", 5)])

    def rows(self, name: str, rows: list[tuple[str, int]]) -> None:
        with (self.home / name).open("w", newline="") as file:
            csv.writer(file).writerows([("name", "age"), *rows])

    def read(self, name: str) -> list[dict[str, str]]:
        with (self.home / name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def shell(server: LocalServer, tmp_path: Path) -> Filed:
    return Filed(tmp_path, server.data)


def test_rows_go_through_a_plain_function_and_come_back_in_order(shell: Filed) -> None:
    shell("map", "app.py:enrich", "contacts.csv", "--chunk", "2", "-o", "out.csv")
    names = ["ann", "bob", "cy", "dee", "eve"]
    assert [(row["name"], row["length"]) for row in shell.read("out.csv")] == [
        (name, str(len(name))) for name in names
    ]
    (shell.home / "rows.jsonl").write_text("".join(f'{{"name": "{n}"}}\n' for n in names))
    job = shell("map", "app.py:enrich", "rows.jsonl", "--detach", "--tag", "team=red").strip()
    shell("wait", job)
    assert shell("ps", "--all", "--json").count(job) >= 1
    lines = [json.loads(line) for line in shell("results", job).splitlines()]
    assert lines == [{"name": name, "length": len(name)} for name in names]


def test_rows_that_fail_are_told_by_number_and_alone_run_again(shell: Filed) -> None:
    arguments = ("map", "app.py:older", "contacts.csv", "--chunk", "2", "-o", "out.csv")
    _, told = shell.both(*arguments, code=1)
    assert "Row 4: ValueError: dee is not born (rows 3 to 4 are one job" in told
    assert "3 results written to out.csv; 2 failed" in told
    assert [row["name"] for row in shell.read("out.csv")] == ["ann", "bob", "eve"]
    job = told.partition("tidemill retry ")[2].partition("`")[0]
    assert f"`tidemill results {job} -o out.csv` then joins all" in told
    (shell.home / "mended").touch()
    [again] = shell("retry", job).split()
    assert shell("wait", job).startswith(again), "what does it again is waited for"
    shell("results", job[:13], "-o", "out.csv")
    assert [row["age"] for row in shell.read("out.csv")] == ["2", "3", "4", "-3", "6"]
    _, told = shell.both("retry", job, code=1)
    assert "ended well" in told


def test_ctrl_c_asks_whether_to_leave_it_running(shell: Filed) -> None:
    shell.rows("two.csv", [("ann", 1), ("bob", 2)])
    arguments = ("map", "app.py:held", "two.csv", "-o", "out.jsonl")
    with terminal(*arguments, environment=shell.environment, cwd=shell.home) as screen:
        screen.wait_said("0/2")
        screen.press("\x03")
        screen.wait_said("Leave it running? [Y/n]")
        screen.press("\n")
        assert screen.finish() == 130
        left = screen.text.partition("tidemill wait ")[2].partition("`")[0]
        assert f"tidemill results {left} -o out.jsonl" in screen.text
    with terminal(*arguments, environment=shell.environment, cwd=shell.home) as screen:
        screen.wait_said("0/2")
        screen.press("\x03")
        screen.wait_said("[Y/n]")
        screen.press("n\n")
        assert screen.finish() == 130
        ended = screen.text.partition("[Y/n]: n")[2].split()[0]
    until(lambda: '"FAILED"' in shell("show", ended, "--json"), "the second is ended")
    shell.both("results", left, code=2)
    until(lambda: "25% (1 of 4), waiting" in shell("ps"), "its progress is told")
    (shell.home / "gate").touch()
    shell("wait", left)
    assert shell("results", left) == '"ann"\n"bob"\n'


def test_one_call_prints_its_result_and_exits_as_the_job_did(shell: Filed) -> None:
    words = ("app.py:report", "5", "--year", "2026", "--tags", '["a"]')
    out, told = shell.both("run", "--memory", "64MiB", *words)
    assert json.loads(out) == {"who": "5", "year": 2026, "tags": ["a"]}
    assert told == "reporting to 5\n"
    _, told = shell.both("run", "app.py:fail", "7", code=7)
    assert told.splitlines()[-1].startswith("Error: ")
    job = shell("run", "--detach", "--tenant", "acme", "app:report", "ann").strip()
    shell("wait", job)
    assert json.loads(shell("results", job))["who"] == "ann"
    assert '"shareIdentifier": "acme"' in shell("show", job, "--json")


def test_any_job_is_submitted_again_as_it_was(shell: Filed) -> None:
    script = f"test -e {shell.home}/mended || exit 3; echo $X"
    options = ("--name", "flaky", "--tag", "team=red", "--env", "X=well", "--vcpus", "0.5")
    job = shell("submit", *options, "--", "sh", "-c", script).strip()
    then = shell("submit", "--name", "flaky", "--after", job, "--", "echo", "then").strip()
    shell("wait", job, then, code=3)
    (shell.home / "mended").touch()
    told = json.loads(shell("retry", "--failed", "--name", "fl*", "--yes", "--json"))["retried"]
    [first], [second] = told[job], told[then]
    shell("wait", first, second)
    assert (shell("logs", first), shell("logs", second)) == ("well\n", "then\n")
    shown = shell("show", first)
    assert "0.5 vCPU" in shown
    assert "team=red" in shown
    assert "No job to retry" in shell.both("retry", "--failed", "--name", "fl*", "--yes")[1]


def test_a_mistake_is_one_sentence(shell: Filed) -> None:
    (shell.home / "broken.py").write_text("def enrich(row): ...\n1 / 0\n")
    for function, word in (
        ("broken.py:enrich", "broken.py:2"),
        ("app.py:nothing", "it has enrich"),
    ):
        done = run("map", function, "contacts.csv", environment=shell.environment, cwd=shell.home)
        assert word in sentence(done)
    assert "Usage: " in shell.both("run", "app.py:report", "--nobody", "1", code=2)[1]
