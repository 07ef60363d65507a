"""`tidemill serve`: one process, one event loop, from the first check to the last goodbye."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import sys

from tidemill.platform.engine import EngineError
from tidemill.platform.store import StoreError
from tidemill.server.address import WILDCARDS
from tidemill.server.config import LOOPBACK_HOSTS, ServerConfig, StartError
from tidemill.server.wiring import Server

FAILED = 70
"""The exit code of a server that ended itself; EX_SOFTWARE of sysexits.h."""

log = logging.getLogger("tidemill")


def run(config: ServerConfig, *, ready_fd: int | None = None, life_fd: int | None = None) -> None:
    """Serve until SIGINT, SIGTERM or `tidemill stop`; raises `StartError` when it can't start.

    Something is written to `ready_fd`, and it is closed, once requests are answered. Once
    anything, or the end, can be read from `life_fd`, the server ends with every job.
    """
    import uvloop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # It warns of every request that is no HTTP: whoever scans the port would fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config.check()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, ready_fd, life_fd))


async def _serve(config: ServerConfig, ready_fd: int | None, life_fd: int | None) -> None:
    server = Server(config, _say_standby)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if life_fd is not None:
        loop.add_reader(life_fd, _end_all, server, stop, life_fd)
    server.failure.add_done_callback(lambda _: stop.set())
    if await _open(server, stop):
        _say_ready(server, ready_fd)
        await stop.wait()
    _end_if_failed(server)
    running = server.running_jobs
    stop_jobs = server.jobs_stop_too
    await server.close(stop_jobs=stop_jobs)
    _say_goodbye(running, stop_jobs)


def _end_all(server: Server, stop: asyncio.Event, life_fd: int) -> None:
    asyncio.get_running_loop().remove_reader(life_fd)
    server.jobs_stop_too = True
    stop.set()


async def _open(server: Server, stop: asyncio.Event) -> bool:
    """Whether the server stands; False when it was asked to stop before."""
    opening = asyncio.create_task(server.open(stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
    stopping.cancel()
    try:
        await opening
    except asyncio.CancelledError:
        return False
    except (StartError, StoreError, EngineError, OSError) as error:
        await server.close(stop_jobs=False)
        raise StartError(_sentence(error)) from error
    return True


def _sentence(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    where = f" at {error.filename}" if error.filename else ""
    return f"The server can't start: {error.strerror or error}{where}; mend that, then start again."


def _end_if_failed(server: Server) -> None:
    """Memory is ahead of what is durable then: nothing more may be said or done from it."""
    if server.failure.done():
        log.critical("The server ends itself: %s", server.failure.result())
        os._exit(FAILED)


def _say_standby(leader: str) -> None:
    sys.stderr.write(
        f"This server stands by: {leader}. Until that one stops or dies it opens no port; then it "
        "takes over.\n"
    )


def _say_ready(server: Server, ready_fd: int | None) -> None:
    config = server.config
    lines = [f"Tidemill serves at {server.endpoint}, with its data in {config.data}."]
    if running := server.running_jobs:
        lines.append(f"{_jobs(running)} on from before.")
    if config.auth == "off":
        lines.append("Requests need no signature: whoever reaches the port is served.")
    elif config.host not in LOOPBACK_HOSTS:
        lines.append("Requests are signed but not encrypted: beyond a network that you trust, put")
        lines.append("a proxy with TLS before it.")
    if config.host in WILDCARDS and config.advertise is None:
        lines.append("Clients on other machines need its name: --advertise http://NAME:PORT has")
        lines.append("`tidemill config` and jobs say it.")
    lines.append(f"Jobs run as the user {_user()}. Ctrl-C stops the server and leaves running jobs")
    lines.append("running; `tidemill stop --jobs` ends both.")
    sys.stderr.write("\n".join(lines) + "\n")
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _jobs(running: int) -> str:
    return "1 job runs" if running == 1 else f"{running:,} jobs run"


def _say_goodbye(running: int, stop_jobs: bool) -> None:
    if stop_jobs:
        sys.stderr.write("Stopped, and its jobs with it.\n")
    elif running:
        sys.stderr.write(f"Stopped. {_jobs(running)} on; `tidemill serve` takes them up again.\n")
    else:
        sys.stderr.write("Stopped. No job was running.\n")
