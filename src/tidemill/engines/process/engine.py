"""The embedded engine's server side: hands orders to the runner, and its reports to the core.

The runner is a process of its own that outlives the server; it is started here when none answers.
Whatever was handed over and has not ended is remembered, so that after the connection broke, or
the runner died, everything is asked for again: what waits is started, what ran is reported on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tidemill.engines.process import protocol
from tidemill.engines.process.link import LOG, Link, launch
from tidemill.engines.process.protocol import (
    VERSIONS,
    Answer,
    End,
    Hello,
    Recover,
    Refused,
    Resize,
    Settle,
    Start,
    Welcome,
    address,
)
from tidemill.platform.engine import (
    Attempt,
    EngineError,
    Exited,
    Lost,
    Observation,
    Observe,
    Pool,
    StaleEpoch,
    Started,
    Stop,
    Usage,
)

START_S: Final = 40.0
"""How long a runner may take to answer: its predecessor's jobs must be gone first."""
ANSWER_S: Final = 5.0
"""How long a runner that listens may take to say whether it takes our orders."""
RETRY_S: Final = 0.5
RETRY_S_MAX: Final = 30.0
END_GRACE_S: Final = 10.0

_log: Final = logging.getLogger(__name__)


class ProcessEngine:
    """Runs attempts as processes of this machine. Implements `platform.engine.Engine`."""

    look_ahead = True

    def __init__(self, folder: Path, log_folder: Path) -> None:
        """`folder` is the runner's own: its journal, socket and log."""
        self._folder = Path(folder)
        self._log_folder = Path(log_folder)
        self._observe: Observe | None = None
        self._epoch = 0
        self._pools: Sequence[Pool] = ()
        self._link: Link | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closing = False
        self._waiting: dict[str, Attempt] = {}
        """Handed over, not known to have started."""
        self._running: dict[str, None] = {}
        """Started, not known to have ended; asked for after the connection broke."""
        self._stops: dict[str, float] = {}
        self._settled: list[str] = []
        """Settled while there was no connection."""

    @property
    def is_connected(self) -> bool:
        """Whether the runner is there to take orders."""
        return self._link is not None

    async def open(self, observe: Observe, *, epoch: int) -> None:
        """Connect to the runner, and start it when none answers."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log_folder.mkdir(parents=True, exist_ok=True)
        self._observe = observe
        self._epoch = epoch
        self._is_closing = False
        await self._connect()

    def resize(self, pools: Sequence[Pool]) -> None:
        """See `Engine.resize`."""
        self._pools = tuple(pools)
        if self._link is not None:
            self._link.send(self._sizes())

    def start(self, attempts: Sequence[Attempt]) -> None:
        """See `Engine.start`."""
        for attempt in attempts:
            self._waiting[attempt.attempt_id] = attempt
        if self._link is not None:
            self._link.send(Start([_order(attempt) for attempt in attempts]))

    def stop(self, stops: Sequence[Stop]) -> None:
        """See `Engine.stop`."""
        graces = {stop.attempt_id: stop.grace_s for stop in stops}
        self._stops.update(graces)
        if self._link is not None:
            self._link.send(protocol.Stop(list(graces.items())))

    def recover(self, attempt_ids: Sequence[str]) -> None:
        """See `Engine.recover`."""
        self._running.update(dict.fromkeys(attempt_ids))
        if self._link is not None:
            self._link.send(Recover(list(attempt_ids)))

    def settle(self, attempt_ids: Sequence[str]) -> None:
        """See `Engine.settle`."""
        if self._link is not None:
            self._link.send(Settle(list(attempt_ids)))
        else:
            self._settled.extend(attempt_ids)

    async def close(self, *, stop_jobs: bool) -> None:
        """Disconnect; with `stop_jobs` end every job and the runner, and wait for that."""
        self._is_closing = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        if stop_jobs and self._link is None and self._observe is not None:
            await self._connect()
        link, self._link = self._link, None
        if link is None:
            return
        if stop_jobs:
            link.send(End(END_GRACE_S))
            await link.runner_gone()
        link.close()
        await link.closed

    # The connection.

    async def _connect(self) -> None:
        """Have a runner that takes our orders, and tell it where we stand."""
        deadline = asyncio.get_running_loop().time() + START_S
        while True:
            answer = await self._greet()
            if isinstance(answer, Welcome):
                return
            if isinstance(answer, Refused) and answer.stale_epoch:
                raise StaleEpoch(f"The process engine's runner refuses orders: {answer.reason}.")
            if asyncio.get_running_loop().time() > deadline:
                raise EngineError(self._complaint(answer))
            await asyncio.sleep(RETRY_S)

    async def _greet(self) -> Answer | None:
        """Connect, to a runner started for it if need be; its answer, None when there is none."""
        sock = _connect_socket(self._folder)
        if sock is None:
            if said := await launch(self._folder, self._log_folder):
                raise EngineError(f"The process engine's runner can't start: {said.rstrip('.')}.")
            sock = _connect_socket(self._folder)
        if sock is None:
            return None
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: Link(self._hear), sock=sock)
        link.send(Hello(list(VERSIONS), self._epoch))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(link.answer), ANSWER_S)
        answer = link.answer.result() if link.answer.done() else None
        if not isinstance(answer, Welcome):
            link.close()
            return answer
        self._link = link
        link.closed.add_done_callback(lambda _: self._disconnected(link))
        self._catch_up(link)
        return answer

    def _catch_up(self, link: Link) -> None:
        """Say again all that is not known to be over."""
        settled, self._settled = self._settled, []
        link.send(Settle(settled))
        if self._pools:
            link.send(self._sizes())
        link.send(Recover([name for name in self._running if name not in self._waiting]))
        link.send(Start([_order(attempt) for attempt in self._waiting.values()]))
        link.send(protocol.Stop(list(self._stops.items())))

    def _disconnected(self, link: Link) -> None:
        if self._link is link:
            self._link = None
            if not self._is_closing:
                self._reconnecting = asyncio.ensure_future(self._reconnect())

    async def _reconnect(self) -> None:
        pause_s = RETRY_S
        while self._link is None:
            try:
                await self._connect()
            except StaleEpoch as error:
                _log.error("%s", error)
                return
            except (EngineError, OSError) as error:
                _log.error("%s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)

    def _hear(self, reports: Sequence[protocol.Report]) -> None:
        """Turn the runner's reports into observations, and keep our own account by them."""
        observations: list[Observation] = []
        for report in reports:
            attempt_id = report.attempt_id
            self._waiting.pop(attempt_id, None)
            if isinstance(report, protocol.Started):
                self._running[attempt_id] = None
                observations.append(Started(attempt_id=attempt_id, at_ms=report.at_ms))
                continue
            self._running.pop(attempt_id, None)
            self._stops.pop(attempt_id, None)
            observations.append(_observation(report))
        if observations and self._observe is not None:
            self._observe(observations)

    def _sizes(self) -> Resize:
        return Resize([(pool.name, pool.cpu_milli, pool.memory_mib) for pool in self._pools])

    def _complaint(self, answer: Answer | None) -> str:
        """Why there is no runner that takes our orders."""
        if isinstance(answer, Refused):
            return f"The process engine's runner in {self._folder} refuses orders: {answer.reason}."
        return (
            f"The process engine's runner does not answer; "
            f"{self._folder / LOG} says why: {self._last_word()}"
        )

    def _last_word(self) -> str:
        try:
            lines = (self._folder / LOG).read_text("utf-8", "replace").splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it says nothing"


def _order(attempt: Attempt) -> protocol.Order:
    return protocol.Order(
        attempt.attempt_id,
        attempt.pool,
        list(attempt.command),
        dict(attempt.environment),
        attempt.cpu_milli,
        attempt.memory_mib,
        attempt.log_group,
        attempt.log_stream,
        attempt.working_directory,
        list(attempt.ulimits),
    )


def _observation(end: protocol.Ended) -> Exited | Lost:
    if isinstance(end, protocol.Lost):
        return Lost(attempt_id=end.attempt_id, at_ms=end.at_ms, reason=end.reason)
    return Exited(
        attempt_id=end.attempt_id,
        at_ms=end.at_ms,
        exit_code=end.exit_code,
        started_at_ms=end.started_at_ms,
        reason=end.reason,
        usage=Usage(cpu_s=end.cpu_s, memory_peak_bytes=end.memory_peak_bytes),
    )


def _connect_socket(folder: Path) -> socket.socket | None:
    """A connection to the folder's runner, or None when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(folder) as path:
            sock.connect(path)
    except OSError:
        sock.close()
        return None
    sock.setblocking(False)
    return sock
