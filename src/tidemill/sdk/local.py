"""A private server: on a free port, in a folder of its own, gone without trace afterwards.

It is an ordinary `tidemill serve` in a process of its own; nothing here is special but its
lifetime. Tests, benchmarks and the demo use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tidemill.sdk import client
from tidemill.sdk.client import Connection

if TYPE_CHECKING:
    import boto3

SERVER = "tidemill.server"
READY_S = 30.0
STOP_S = 15.0


class LocalServerError(Exception):
    """The private server did not start; the message is what it said."""


class LocalServer:
    """A running private server: `endpoint`, `region`, keys, and boto3 clients that reach it."""

    def __init__(self, data: Path, arguments: Sequence[str] = ()) -> None:
        self.data = data
        self._arguments = [*arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._life = -1
        """A pipe's writing end: at a word, or when it closes, the server ends with its jobs."""
        self._session: boto3.session.Session | None = None
        self.endpoint = ""
        self.region = ""
        self.access_key_id = ""
        self.secret_access_key = ""

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "start() comes first"
        return self._process.pid

    def start(self) -> LocalServer:
        """Start it and return once it answers; `LocalServerError` when it does not come up.

        The server closes the pipe it is given with `--ready-fd` once it serves.
        """
        reading, writing = os.pipe()
        life, self._life = os.pipe()
        with (self.data.parent / (self.data.name + ".log")).open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", SERVER, "--data", str(self.data), "--port", "0"),
                    *("--ready-fd", str(writing), "--life-fd", str(life), *self._arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writing, life),
                start_new_session=True,
            )
        os.close(writing)
        os.close(life)
        with os.fdopen(reading, "rb") as said:
            try:
                is_ready = _says_something(said)
            except BaseException:
                self.stop()
                raise
        if not is_ready:
            self.kill()
            raise LocalServerError(f"The server did not start: {self.output()}")
        self._read_keys()
        return self

    def _read_keys(self) -> None:
        note = json.loads((self.data / "server.json").read_text("utf-8"))
        key = json.loads((self.data / "access-key.json").read_text("utf-8"))
        self.endpoint, self.region = note["endpoint"], note["region"]
        self.access_key_id = key["access_key_id"]
        self.secret_access_key = key["secret_access_key"]
        self._session = None

    def output(self) -> str:
        """What the server printed so far."""
        path = self.data.parent / (self.data.name + ".log")
        return path.read_text("utf-8", "replace").strip() if path.exists() else ""

    def environment(self) -> dict[str, str]:
        """The variables by which any AWS client reaches this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    @property
    def session(self) -> boto3.session.Session:
        """A boto3 session with this server's key; its clients still need `endpoint`."""
        if self._session is None:
            import boto3

            self._session = boto3.session.Session(
                self.access_key_id, self.secret_access_key, region_name=self.region
            )
        return self._session

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client of this server."""
        return self.session.client(service, endpoint_url=self.endpoint, **settings)

    def connection(self) -> Connection:
        """The library's connection to this server, for `tidemill.sdk.client.use`."""
        return _LocalConnection(self)

    def kill(self) -> None:
        """SIGKILL the server process alone; its runner and jobs live on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def terminate(self) -> None:
        """Stop the server cleanly; its runner and jobs live on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(STOP_S)
            self._forget()

    def stop(self) -> None:
        """Stop the server with its runner and every job."""
        if self._process is None:
            self.start()  # only a server can end what an earlier one left running
        assert self._process is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._life, b"end\n")
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()  # what failed is raised; a server that nobody can stop is not left behind
            raise
        self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._life >= 0:
            os.close(self._life)
            self._life = -1


class _LocalConnection(Connection):
    """The library's connection to a private server; boto3 is imported at the first call."""

    is_private = True

    def __init__(self, server: LocalServer) -> None:
        super().__init__(None, server.endpoint)
        self._server = server

    @property
    def session(self) -> Any:
        """The server's own."""
        return self._server.session


def _says_something(pipe: IO[bytes]) -> bool:
    """Whether anything but the end comes out of the pipe, within the time that a start may take."""
    ready, _, _ = select.select([pipe], [], [], READY_S)
    return bool(ready and os.read(pipe.fileno(), 1))


@contextlib.contextmanager
def private(*arguments: str) -> Iterator[LocalServer]:
    """A private server for a `with` block; `arguments` are options of `tidemill serve`.

    At the end of the block all of it goes, server, jobs and folder; so it does when this process
    is killed, and the block never ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidemill-"))
    server = LocalServer(folder / "data", (*arguments, "--life-folder", str(folder)))
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def local(*arguments: str) -> Iterator[LocalServer]:
    """A private server (see `private`) that the library uses inside the `with` block.

    It does so in all threads and tasks of this process, and after the block uses again what it
    used before. The environment stays as it is: other clients are given `server.environment()`.
    """
    with private(*arguments) as server:
        before = client.use(server.connection())
        try:
            yield server
        finally:
            client.use(before)
