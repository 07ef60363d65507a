"""Where the server is reached: the socket that holds its port, and the URL for clients."""

from __future__ import annotations

import errno
import os
import socket

from tidemill.server.config import StartError

BACKLOG = 2048
PRIVILEGED_BELOW = 1024
_REACHABLE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds `host:port`; `StartError` when it can't be had.

    It listens already: only that keeps others off the port.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError):
        raise StartError(_no_address(host)) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(_refusal(host, port, error)) from None
    return listener


def _refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return _no_address(host)
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use; stop what listens there, or choose another with "
            f"--port."
        )
    if error.errno == errno.EACCES and port < PRIVILEGED_BELOW:
        return f"Port {port} is for root alone; choose one from {PRIVILEGED_BELOW} up with --port."
    return f"Port {port} on {host} can't be used: {os.strerror(error.errno or 0)}."


def _no_address(host: str) -> str:
    return (
        f"{host!r} is no address of this machine; give one with --host, or 0.0.0.0 for all of them."
    )


def endpoint(host: str, bound: socket.socket) -> str:
    """The URL at which this machine reaches the server: jobs are given it."""
    port = bound.getsockname()[1]
    reachable = _REACHABLE.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
