"""`tidemill doctor` on a server of ours: all well, and each thing that may be wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell import clean_environment, run

from tidemill.sdk.local import LocalServer, local


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with local() as server:
        yield server


class Doctor:
    """`tidemill doctor` in a folder, with an environment that reaches the server."""

    def __init__(self, server: LocalServer, folder: Path) -> None:
        self.folder = folder
        self.given = server.environment()

    def __call__(self, *arguments: str, code: int, **environment: str) -> dict[str, str]:
        """How each thing stands and what is told of it, `wrong: there is no queue x; ...`."""
        given = {"TIDEMILL_DATA": str(self.folder / "data"), **self.given, **environment}
        done = run(
            *("doctor", "--json", *arguments),
            environment=clean_environment(self.folder, **given),
            cwd=self.folder,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return {
            each["check"]: f"{each['state']}: {each['told']}; {each['remedy']}"
            for each in json.loads(done.stdout)
        }


@pytest.fixture
def doctor(server: LocalServer, tmp_path: Path) -> Doctor:
    return Doctor(server, tmp_path)


def test_all_is_well_and_the_code_is_found(doctor: Doctor) -> None:
    (doctor.folder / "app.py").write_text("import tidemill as tm\n@tm.job\ndef render(): ...\n")
    (doctor.folder / "pyproject.toml").write_text("[tool.tidemill]\n")
    found = doctor("app", "app.py", code=0)
    assert {told.partition(":")[0] for told in found.values()} <= {"ok", "note"}
    assert found["code"] == "ok: 2 jobs: render, render; "
    assert "process takes jobs" in found["engine"]
    assert {"clock", "version", "disk", "queue", "environment", "permission"} <= found.keys()


@pytest.mark.parametrize(
    ("given", "check", "told"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAX"}, "credentials", "wrong: the access key is not known"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "credentials", "wrong: the secret is not the access key"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "credentials", "this server's region is 'us-east-1'"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "server", "wrong: No server answers at http"),
        ({"TIDEMILL_PROFILE": "aws"}, "project", "wrong: The profile 'aws' is nowhere"),
    ],
)
def test_what_nothing_works_without_is_told(
    doctor: Doctor, given: dict[str, str], check: str, told: str
) -> None:
    found = doctor(code=1, **given)
    assert told in found[check]
    assert "queue" not in found


def test_a_machine_without_a_server_is_told_how_to_start_one(tmp_path: Path) -> None:
    done = run("doctor", environment=clean_environment(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("wrong      server          No server runs on this machine")
    assert "start one with `tidemill serve`" in last


def test_everything_else_is_looked_at_though_something_is_wrong(doctor: Doctor) -> None:
    (doctor.folder / "app.py").write_text("import nothing_like_it\n")
    (doctor.folder / "pyproject.toml").write_text(
        '[tool.tidemill.profiles.far]\nqueue = "nix"\nimage = "a"\nbucket = "there-is-none"\n'
    )
    found = doctor("--profile", "far", "app", code=1)
    assert found["queue"].startswith("wrong: there is no queue nix; make it, or name another")
    assert found["code"].startswith("wrong: a job could not import it: ModuleNotFoundError")
    assert found["bucket"] == "note: there-is-none is not there yet; the first submission makes it"
    found = doctor("--profile", "far", code=1, TIDEMILL_PROFILE="nobody")
    assert found["project"].endswith("pyproject.toml, profile far; ")


def test_a_queue_that_takes_nothing_is_told(doctor: Doctor, server: LocalServer) -> None:
    batch = server.client("batch")
    batch.create_job_queue(
        jobQueueName="shut",
        state="DISABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "local"}],
    )
    batch.close()
    (doctor.folder / "pyproject.toml").write_text('[tool.tidemill]\nqueue = "shut"\n')
    assert doctor(code=1)["queue"].startswith("wrong: shut is DISABLED; ")


def test_an_image_on_a_server_without_containers_is_told(doctor: Doctor) -> None:
    (doctor.folder / "pyproject.toml").write_text('[tool.tidemill]\nimage = "me/app:1"\n')
    assert "local runs jobs without containers" in doctor(code=1)["image"]


def test_any_command_goes_by_a_profile(doctor: Doctor, server: LocalServer) -> None:
    (doctor.folder / "pyproject.toml").write_text(
        f'[tool.tidemill.profiles.here]\nendpoint = "{server.endpoint}"\nregion = "us-east-1"\n'
    )
    keys = {name: value for name, value in doctor.given.items() if "KEY" in name}
    environment = clean_environment(doctor.folder, **keys)
    for words in (("--profile", "here", "ps"), ("ps", "--profile", "here")):
        done = run(*words, environment=environment, cwd=doctor.folder)
        assert (done.returncode, done.stderr.partition(";")[0]) == (0, "No jobs")
