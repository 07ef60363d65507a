"""Where a server says that it is, where it can be reached, and where its password is not seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from own_address import own_address
from shell import clean_environment, run, serve

ASK = """
import boto3, json, os
account = boto3.client("sts", endpoint_url=os.environ.get("REACHED")).get_caller_identity()
print(json.dumps([account["Account"], os.environ["AWS_ENDPOINT_URL"]]))
"""


def printed(environment: dict[str, str], *arguments: str) -> str:
    """What a job prints that is submitted with these options and runs this command."""
    submitted = run("submit", *arguments, environment=environment)
    assert submitted.returncode == 0, submitted.stderr
    job_id = submitted.stdout.strip()
    run("wait", job_id, environment=environment)
    return run("logs", job_id, environment=environment).stdout


def job_says(environment: dict[str, str], *options: str) -> list[str]:
    """What a job is told: its account, by its own credentials, and its endpoint."""
    nowhere = ("--env", "AWS_CONFIG_FILE=/nonexistent")
    output = printed(environment, *options, *nowhere, "--", sys.executable, "-c", ASK)
    return [str(each) for each in json.loads(output)]


def test_jobs_have_credentials_where_the_server_is_not_on_loopback(tmp_path: Path) -> None:
    host = own_address()
    environment = clean_environment(tmp_path, TIDEMILL_DATA=str(tmp_path / "data"))
    with serve("--host", host, "--port", "0", environment=environment) as served:
        served.wait_ready()
        endpoint = json.loads((tmp_path / "data" / "server.json").read_text())["endpoint"]
        assert endpoint.startswith(f"http://{host}:")
        assert job_says(environment) == ["000000000000", endpoint]
        assert run("stop", "--jobs", environment=environment).returncode == 0
        served.finish()


def test_what_is_advertised_is_told_to_clients_and_jobs(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path, TIDEMILL_DATA=str(tmp_path / "data"))
    advertised = "https://tidemill.example.com"
    options = ("--host", "0.0.0.0", "--port", "0", "--advertise", advertised)
    with serve(*options, environment=environment) as served:
        served.wait_ready()
        told = json.loads(run("config", "--json", environment=environment).stdout)
        assert told["AWS_ENDPOINT_URL"] == advertised
        local = json.loads((tmp_path / "data" / "server.json").read_text())["local"]
        # No name leads there, and commands on the machine need none.
        said = job_says(environment, "--env", f"REACHED={local}")
        assert said == ["000000000000", advertised]
        assert run("stop", "--jobs", environment=environment).returncode == 0
        served.finish()


def test_a_database_named_by_the_environment_is_in_no_list_of_processes(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url().replace("postgres@", "postgres:s3cret@")
    environment = clean_environment(
        tmp_path, TIDEMILL_DATA=str(tmp_path / "data"), TIDEMILL_DATABASE=url
    )
    with serve("--port", "0", environment=environment) as served:
        served.wait_ready()
        assert not (tmp_path / "data" / "tidemill.db").exists()
        shown = Path(f"/proc/{served.process.pid}/cmdline").read_bytes()
        assert b"serve" in shown
        assert b"s3cret" not in shown
        script = "env | grep -c TIDEMILL_DATABASE || true"
        assert printed(environment, "--", "sh", "-c", script) == "0\n", "jobs are not told of it"
        assert run("stop", "--jobs", environment=environment).returncode == 0
        assert "s3cret" not in served.finish()
