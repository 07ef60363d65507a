"""What keeps a server from starting: one sentence, exit code 1, and nothing is changed by it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from shell import Served, clean_environment, run, sentence, serve, until

from tidemill.sdk.local import LocalServer


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return clean_environment(tmp_path)


@pytest.fixture
def stopped(tmp_path: Path) -> LocalServer:
    """A server that has been there once, with its data folder as it left it."""
    server = LocalServer(tmp_path / "data").start()
    server.client("s3").create_bucket(Bucket="kept")
    server.stop()
    return server


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--auth", "off", "--host", "0.0.0.0"], ["--auth off", "loopback", "--auth keys"]),
        (["--account", "12"], ["--account", "12 digits"]),
        (["--region", "us east"], ["--region", "us-east-1"]),
        (["--keep", "nan"], ["--keep", "days"]),
        (["--database", "mysql://there/db"], ["postgresql://"]),
        (["--database", "postgresql://me:pa/ss:wo#rd@there:x/db"], ["postgresql://"]),
        (["--database", "postgresql://[::1/db"], ["postgresql://"]),
        (["--database", "postgresql://127.0.0.1:1/db"], ["'db'", "127.0.0.1", "check"]),
        (["--host", "no-such-host.invalid"], ["no-such-host.invalid", "--host"]),
        (["--host", "192.0.2.1"], ["192.0.2.1", "--host"]),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_an_option_that_can_not_be(
    options: list[str], words: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    data = ("--data", str(tmp_path / "data"), "--port", "0")
    said = sentence(run("serve", *data, *options, environment=environment))
    assert all(word in said for word in words), said
    assert "ss:wo" not in said, "a password is never printed"


def test_a_port_that_is_taken(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("--data", str(tmp_path / "data"), "--port", str(port))
        said = sentence(run("serve", *arguments, environment=environment))
    assert f"Port {port}" in said
    assert "--port" in said
    assert not (tmp_path / "data").exists(), "a server that can't be reached makes nothing"


@pytest.mark.parametrize("folder", ["/proc/tidemill", "/dev/null/tidemill"])
def test_a_folder_that_can_not_be_written(folder: str, environment: dict[str, str]) -> None:
    said = sentence(run("serve", "--data", folder, "--port", "0", environment=environment))
    assert folder in said
    assert "--data" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    said = sentence(run("serve", "--data", str(folder), environment=environment))
    assert str(folder) in said


def test_a_file_that_is_no_database(stopped: LocalServer, environment: dict[str, str]) -> None:
    database = stopped.data / "tidemill.db"
    database.write_bytes(b"what once was a database" * 1000)
    _refused(stopped, environment, "tidemill.db", "backup")
    assert database.read_bytes() == b"what once was a database" * 1000


def test_a_database_with_damaged_pages(stopped: LocalServer, environment: dict[str, str]) -> None:
    database = stopped.data / "tidemill.db"
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    before = database.read_bytes()
    _refused(stopped, environment, "tidemill.db", "backup")
    assert database.read_bytes() == before


def test_a_database_of_a_newer_version(stopped: LocalServer, environment: dict[str, str]) -> None:
    path = stopped.data / "tidemill.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE schema_version SET number = 999 WHERE component = 'batch'")
    _refused(stopped, environment, "newer version", "999")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE schema_version SET number = 1 WHERE component = 'batch'")
    stopped.start()
    assert [bucket["Name"] for bucket in stopped.client("s3").list_buckets()["Buckets"]] == ["kept"]
    stopped.stop()


def test_a_damaged_journal_is_told_at_once(
    stopped: LocalServer, environment: dict[str, str]
) -> None:
    journal = stopped.data / "engines" / "process" / "journal"
    journal.write_bytes(b"\xff" * 64)
    begun_s = time.monotonic()
    _refused(stopped, environment, str(journal), "damaged", "move the file away")
    assert time.monotonic() - begun_s < 15.0, "it does not wait for a runner that has given up"


@pytest.mark.parametrize("text", ["{", "[]", '{"access_key_id": "A"}', None])
def test_an_access_key_that_can_not_be_read(
    text: str | None, stopped: LocalServer, environment: dict[str, str]
) -> None:
    path = stopped.data / "access-key.json"
    key = json.loads(path.read_text())
    path.write_text(text if text is not None else json.dumps({**key, "server_secret": "?"}))
    before = path.read_text()
    _refused(stopped, environment, "access-key.json", "backup")
    assert path.read_text() == before


def _refused(server: LocalServer, environment: dict[str, str], *words: str) -> None:
    arguments = ("--data", str(server.data), "--port", "0")
    said = sentence(run("serve", *arguments, environment=environment))
    assert all(word in said for word in words), said


def test_a_second_server_on_one_folder(environment: dict[str, str], tmp_path: Path) -> None:
    first = LocalServer(tmp_path / "data").start()
    try:
        _refused(first, environment, f"process {first.pid}", first.endpoint, "--data")
        first.client("s3").create_bucket(Bucket="undisturbed")
    finally:
        first.stop()


def test_a_second_server_on_one_folder_with_another_database(
    environment: dict[str, str], tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    first = LocalServer(tmp_path / "data").start()
    try:
        arguments = ("--data", str(first.data), "--port", "0", "--database", new_postgres_url())
        said = sentence(run("serve", *arguments, environment=environment))
        assert f"process {first.pid}" in said
    finally:
        first.stop()


def test_a_killed_server_leaves_no_sign_of_life(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "data").start()
    server.kill()
    assert (server.data / "server.json").exists()
    done = run("ps", environment=clean_environment(tmp_path, TIDEMILL_DATA=str(server.data)))
    assert "No server runs" in sentence(done)
    server.start()
    server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder))
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only root can mount the small file system that this test fills")
    yield folder
    subprocess.run(("umount", "--lazy", str(folder)), check=True)


def test_a_disk_that_is_full_at_the_start(small_disk: Path, environment: dict[str, str]) -> None:
    _fill_up(small_disk)
    data = small_disk / "data"
    said = sentence(run("serve", "--data", str(data), "--port", "0", environment=environment))
    assert "full" in said or "No space left" in said
    (small_disk / "ballast").unlink()
    server = LocalServer(data, ["--floor-mib", "1"]).start()
    server.stop()


def test_a_disk_that_fills_up(small_disk: Path) -> None:
    """New work is refused with an error that clients try again; nothing is lost by it."""
    server = LocalServer(small_disk / "data", ["--floor-mib", "12"]).start()
    try:
        s3 = server.client("s3", config=_one_try())
        s3.create_bucket(Bucket="kept")
        (small_disk / "ballast").write_bytes(bytes(8 << 20))
        # The disk is looked at once a second; more than a few puts would fill it for good.
        until(lambda: not _can_put(s3), "the floor")
        with pytest.raises(s3.exceptions.ClientError, match="MiB free") as refusal:
            s3.put_object(Bucket="kept", Key="small", Body=b"")
        assert refusal.value.response["Error"]["Code"] == "SlowDown"
        with pytest.raises(s3.exceptions.ClientError, match="MiB free"):
            s3.put_object(Bucket="kept", Key="large", Body=bytes(3 << 20))
        assert s3.list_buckets()["Buckets"][0]["Name"] == "kept", "what only reads is answered"
        (small_disk / "ballast").unlink()
        until(lambda: _can_put(s3), "room again")
    finally:
        server.stop()


def test_a_disk_that_is_full_to_the_last_byte_ends_the_server(
    small_disk: Path, environment: dict[str, str]
) -> None:
    """What can't be made durable is not said: the server ends, and comes back as it was."""
    data = small_disk / "data"
    arguments = ("--data", str(data), "--floor-mib", "0", "--limits", "lifted")
    with serve(*arguments, environment=environment) as served:
        served.wait_ready()
        here = {**environment, "TIDEMILL_DATA": str(data)}
        kept = run("submit", "--", "true", environment=here).stdout.strip()
        assert run("wait", kept, environment=here).returncode == 0
        _fill_up(small_disk)
        # SQLite's files have some room left in them: it takes a few large jobs to need more.
        until(lambda: _ends_by_a_large_job(served, here), "the server ends")
        said = served.finish()
    assert served.process.returncode == 70, said
    assert "Traceback" not in said
    [line] = [line for line in said.splitlines() if "CRITICAL" in line]
    assert "full" in line
    (small_disk / "ballast").unlink()
    with serve(*arguments, environment=environment) as again:
        again.wait_ready()
        assert kept in run("ps", "--all", environment=here).stdout
        assert run("stop", "--jobs", environment=here).returncode == 0
        again.finish()


def _fill_up(disk: Path) -> None:
    ballast = (disk / "ballast").open("wb", buffering=0)
    with ballast, pytest.raises(OSError, match="No space"):
        while ballast.write(bytes(4096)):
            pass


def _ends_by_a_large_job(served: Served, environment: dict[str, str]) -> bool:
    run("submit", "--env", f"LARGE={'x' * 20_000}", "--", "true", environment=environment)
    return served.process.poll() is not None


def _one_try() -> object:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1})


def _can_put(s3: object) -> bool:
    try:
        s3.put_object(Bucket="kept", Key="after", Body=b"")  # type: ignore[attr-defined]
    except s3.exceptions.ClientError:  # type: ignore[attr-defined]
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("sign", ["access-key.json", "tidemill.db", "engines", "server.json"])
def test_a_signal_during_the_start_ends_it(
    number: signal.Signals, sign: str, environment: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with serve("--data", str(data), environment=environment) as served:
        until((data / sign).exists, f"{sign} is made")
        served.signal(number)
        said = served.finish()
    assert served.process.returncode == 0, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("Stopped"), said
    assert not (data / "server.json").exists()


def test_a_standby_says_so_and_takes_over(
    environment: dict[str, str], tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    url = new_postgres_url()
    leader = LocalServer(tmp_path / "data", ["--database", url]).start()
    shared = ("--data", str(leader.data), "--database", url)
    with serve(*shared, environment=environment) as standby:
        standby.wait_said("stands by")
        assert f"process {leader.pid} on" in standby.said
        leader.client("s3").create_bucket(Bucket="inherited")
        leader.terminate()
        standby.wait_ready()
        settings = run("config", "--json", "--data", str(leader.data), environment=environment)
        heir = {**environment, **json.loads(settings.stdout)}
        assert json.loads(run("ps", "--json", environment=heir).stdout) == []
        stopped = run("stop", "--jobs", "--data", str(leader.data), environment=environment)
        assert stopped.returncode == 0, stopped.stderr
        assert "Stopped" in standby.finish()


def test_a_signal_ends_a_standby(
    environment: dict[str, str], tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    url = new_postgres_url()
    leader = LocalServer(tmp_path / "data", ["--database", url]).start()
    try:
        other = ("--data", str(tmp_path / "other"), "--database", url)
        with serve(*other, environment=environment) as standby:
            standby.wait_said("stands by")
            standby.signal(signal.SIGTERM)
            assert "Traceback" not in standby.finish()
            assert standby.process.returncode == 0
        leader.client("s3").list_buckets()
    finally:
        leader.stop()
