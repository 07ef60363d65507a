"""Where the server is reached: the sockets that hold its port, and the URLs for clients and jobs.

Jobs are given their credentials at a loopback address: boto3 takes them by HTTP from no other
("Container credential provider", AWS SDKs and Tools Reference Guide).
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from tidemill.server.config import StartError

BACKLOG = 2048
PRIVILEGED_BELOW = 1024
LOOPBACK = "127.0.0.1"
WILDCARDS = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}
"""Hosts that stand for all addresses, and one of those."""


@dataclass(frozen=True, slots=True)
class Place:
    """Sockets that listen, the URL for clients on this machine, and a loopback URL."""

    sockets: list[socket.socket]
    endpoint: str
    local: str

    def close(self) -> None:
        """Give the port back."""
        for each in self.sockets:
            each.close()


def occupy(host: str, port: int) -> Place:
    """Hold `host:port`, and the same port on loopback where `host` leaves that out.

    Raises `StartError` when either can't be had.
    """
    bound = bind(host, port)
    shown = endpoint(host, bound)
    name, number = bound.getsockname()[:2]
    address = ip_address(name)
    if address.is_unspecified:
        return Place([bound], shown, shown)
    if address.is_loopback:
        return Place([bound], shown, _url(name, number))
    try:
        beside = bind(LOOPBACK, number)
    except StartError:
        bound.close()
        raise
    return Place([bound, beside], shown, _url(LOOPBACK, number))


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
    """The URL at which this machine reaches the server."""
    return _url(WILDCARDS.get(host, host), bound.getsockname()[1])


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
