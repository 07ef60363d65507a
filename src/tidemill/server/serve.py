"""`tidemill serve`: one process, one event loop, from the first check to the last goodbye."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

from tidemill.platform.store import StoreError
from tidemill.server.config import ServerConfig, StartError
from tidemill.server.wiring import Server

log = logging.getLogger("tidemill")


def run(config: ServerConfig, *, ready_fd: int | None = None) -> None:
    """Serve until SIGINT, SIGTERM or `tidemill stop`; raises `StartError` when it can't start.

    Something is written to `ready_fd`, and it is closed, once requests are answered.
    """
    import uvloop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    config.check()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, ready_fd))


async def _serve(config: ServerConfig, ready_fd: int | None) -> None:
    server = Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await server.open(stop)
    except (StartError, StoreError) as error:
        await server.close(stop_jobs=False)
        raise StartError(str(error)) from error
    _settle_memory()
    _say_ready(server, ready_fd)
    server.failure.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if server.failure.done():
        # Memory is ahead of what is durable: nothing more may be said or done from it.
        log.critical("The server stops: %s", server.failure.result())
        os._exit(70)
    running = server.running_jobs
    stop_jobs = server.jobs_stop_too
    await server.close(stop_jobs=stop_jobs)
    _say_goodbye(running, stop_jobs)


def _settle_memory() -> None:
    """What was loaded at the start stays for good: keep the collector from walking it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _say_ready(server: Server, ready_fd: int | None) -> None:
    sys.stderr.write(
        f"Tidemill serves at {server.endpoint} (data in {server.config.data}).\n"
        "Jobs run as this user. Ctrl-C stops the server and leaves running jobs running; "
        "`tidemill stop --jobs` ends both.\n"
    )
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)


def _say_goodbye(running: int, stop_jobs: bool) -> None:
    if stop_jobs:
        sys.stderr.write("Stopped, and its jobs with it.\n")
    elif running:
        jobs = "1 job runs" if running == 1 else f"{running} jobs run"
        sys.stderr.write(f"Stopped. {jobs} on; `tidemill serve` takes them up again.\n")
    else:
        sys.stderr.write("Stopped. No job was running.\n")
