"""The runner's end of the connection: one server at a time, the latest that may lead.

A server of an older epoch than one heard before is refused. While no server is connected jobs run
on, and those held back stay so, as nobody could take them back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from tidemill.engines.process.poll import READ, READ_WRITE, Poll
from tidemill.engines.process.protocol import (
    SOCKET,
    VERSIONS,
    Command,
    End,
    FrameError,
    Frames,
    Hello,
    Recover,
    Refused,
    Report,
    Resize,
    Settle,
    Start,
    Stop,
    Welcome,
    address,
    frame,
)
from tidemill.engines.process.supervisor import Supervisor

READ_BYTES: Final = 64 * 1024
UNSENT_BYTES_MAX: Final = 256 * 1024 * 1024
ACCEPT_AGAIN_S: Final = 1.0
"""How long nobody is let in after the system had no file for another connection."""

_decoder: Final = msgspec.msgpack.Decoder(list[Command])


class Listener:
    """Listens in the folder; hands orders to the supervisor and reports to the server."""

    def __init__(self, folder: Path, poll: Poll, supervisor: Supervisor) -> None:
        self.is_ending = False
        self._poll = poll
        self._supervisor = supervisor
        self._path = folder / SOCKET
        self._server: Connection | None = None
        self._guests: set[Connection] = set()
        """Connected, but not welcome yet."""
        self._socket = bind(folder)
        poll.add(self._socket.fileno(), self._accept)

    @property
    def is_connected(self) -> bool:
        """Whether there is a server to report to."""
        return self._server is not None

    def report(self, reports: Sequence[Report]) -> None:
        """Tell the server, if there is one; if not, it will ask."""
        if reports and self._server is not None:
            self._server.send(reports)

    def end(self, grace_s: float) -> None:
        """End all jobs, then the runner."""
        self.is_ending = True
        self._supervisor.stop_all(grace_s)

    def close(self) -> None:
        """Listen no more, and have no connection."""
        self._path.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()
        self._socket.close()

    def _accept(self) -> None:
        try:
            sock = self._socket.accept()[0]
        except (BlockingIOError, ConnectionError):  # whoever it was has gone again
            return
        except OSError:  # the poll would say without end that somebody waits
            self._poll.modify(self._socket.fileno(), 0)
            self._poll.after(ACCEPT_AGAIN_S, self._accept_again)
            return
        self._guests.add(Connection(sock, self._poll, self))

    def _accept_again(self) -> None:
        self._poll.modify(self._socket.fileno(), READ)

    def hear(self, connection: Connection, command: Command) -> None:
        """Do what a connection says."""
        if isinstance(command, Hello):
            self._greet(connection, command)
        elif connection is self._server:
            self._obey(command)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._guests.discard(connection)
        if connection is self._server:
            self._server = None
            self._supervisor.pools.resize(())

    def _greet(self, connection: Connection, hello: Hello) -> None:
        version = max(set(VERSIONS) & set(hello.versions), default=None)
        newest = self._supervisor.head.epoch
        if version is None:
            reason = f"the runner speaks the versions {VERSIONS}, the server {hello.versions}"
            connection.refuse(Refused(reason))
        elif hello.epoch < newest:
            reason = f"epoch {hello.epoch} is over: the runner obeys the leader of epoch {newest}"
            connection.refuse(Refused(reason, stale_epoch=True))
        elif self.is_ending:
            connection.refuse(Refused("the runner is ending"))
        else:
            if self._server is not None:
                self._server.close()
            self._guests.discard(connection)
            self._server = connection
            self._supervisor.lead(hello.epoch)
            connection.send([Welcome(version, os.getpid())])

    def _obey(self, command: Command) -> None:
        match command:
            case Start():
                self._supervisor.start(command.orders)
            case Settle():
                self._supervisor.settle(command.attempt_ids)
            case Stop():
                self._supervisor.stop(command.stops)
            case Recover():
                self._supervisor.recover(command.attempt_ids)
            case Resize():
                self._supervisor.pools.resize(command.pools)
            case End():
                self.end(command.grace_s)


class Connection:
    """One connection; what can't be sent at once waits."""

    def __init__(self, sock: socket.socket, poll: Poll, listener: Listener) -> None:
        self._socket = sock
        self._poll = poll
        self._listener = listener
        self._frames = Frames()
        self._unsent = bytearray()
        self._waits = False
        sock.setblocking(False)
        poll.add(sock.fileno(), self._ready)

    def send(self, messages: Sequence[object]) -> None:
        """Send one frame, now or as soon as the other side takes it."""
        self._unsent += frame(messages)
        self._flush()

    def refuse(self, refusal: Refused) -> None:
        """Say why not, and close."""
        self.send([refusal])
        self.close()

    def close(self) -> None:
        """End the connection; once is enough."""
        if self._socket.fileno() >= 0:
            self._poll.remove(self._socket.fileno())
            self._socket.close()
            self._listener.forget(self)

    def _ready(self) -> None:
        if self._unsent:
            self._flush()
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for body in self._frames.feed(data):
                for command in _decoder.decode(body):
                    self._listener.hear(self, command)
        except (FrameError, msgspec.MsgspecError):
            data = b""
        if not data:
            self.close()

    def _flush(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # gone: the next read says so
            self._unsent.clear()
        if len(self._unsent) > UNSENT_BYTES_MAX:
            self.close()
        elif bool(self._unsent) != self._waits:
            self._waits = bool(self._unsent)
            self._poll.modify(self._socket.fileno(), READ_WRITE if self._waits else READ)


def bind(folder: Path) -> socket.socket:
    """Listen in `folder`, for its owner alone."""
    (folder / SOCKET).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(sock.fileno(), 0o600)
    with address(folder) as path:
        sock.bind(path)
    sock.listen(16)
    sock.setblocking(False)
    return sock
