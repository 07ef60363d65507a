"""The one place that names concrete parts and puts them together; opens and closes them in order.

A port is bound first, so that a server that can't be reached touches nothing; requests are
accepted last, when everything behind them stands.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.platform import sql
from tidemill.platform.clock import RealClock
from tidemill.platform.commit import Committer
from tidemill.platform.engine import Engine
from tidemill.platform.feed import Feed
from tidemill.platform.housekeeping import Housekeeping
from tidemill.platform.ledger import StoreLedger
from tidemill.platform.retry import Replies
from tidemill.platform.store import Store, StoreError
from tidemill.server import address, backup, engine, instance, precompiled
from tidemill.server.config import ServerConfig, StartError
from tidemill.server.credential import CredentialMaker, load_or_make
from tidemill.server.health import health
from tidemill.server.own_path import CREDENTIALS_PATH, OwnPaths
from tidemill.services.batch import run as batch_run
from tidemill.services.batch.name import Names

if TYPE_CHECKING:
    from tidemill.server.front import Front

log = logging.getLogger("tidemill")

MIGRATIONS = [
    *batch_run.MIGRATIONS,
    *sql.migrations("tidemill.services.logs", "logs"),
    *sql.migrations("tidemill.services.s3", "s3"),
]


class Server:
    """A whole server. `open` once, `close` once; `failure` is done when it must stop at once.

    `on_standby` is told who leads when another server does, and this one waits until that has
    gone.
    """

    def __init__(self, config: ServerConfig, on_standby: Callable[[str], None]) -> None:
        self.config = config
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.jobs_stop_too = False
        self.endpoint = ""
        self._local = ""
        self._on_standby = on_standby
        self._clock = RealClock()
        self._note = instance.Note(config.data)
        self._housekeeping: asyncio.Task[None] | None = None
        self._place: address.Place | None = None
        self._store: Store | None = None
        self._batch: batch_run.Runtime | None = None
        self._front: Front | None = None
        self._engines: Mapping[str, Engine] = {}

    async def open(self, stop: asyncio.Event) -> None:
        """Stand up and answer; `stop` is set when somebody asks the server to end.

        Raises `StartError`, `StoreError`, `EngineError` or `OSError`; `close` then takes down what
        stood already.
        """
        config = self.config
        _refuse_second(config)
        place = self._occupy()
        _make_folder(config.data)
        for name in (backup.LOGS, backup.OBJECTS, "engines", "spool"):
            # What jobs print and make is its owner's alone, even where others may see the folder.
            (config.data / name).mkdir(exist_ok=True, mode=0o700)
        credentials = CredentialMaker(load_or_make(config.data))
        self._store = store = self._make_store()
        await store.open(MIGRATIONS)
        if self._place is None:  # it was a standby
            place = self._occupy()
        committer = Committer(store)
        committer.failed.add_done_callback(lambda done: self._fail(done.result()))
        feed = Feed(store, committer)
        await feed.open()
        replies = Replies(store, committer, self._clock)
        self._batch = batch = self._make_batch(
            credentials, store, committer, StoreLedger(feed, replies), replies
        )
        # The runner and our last imports take about as long to start, so they share that time.
        await asyncio.gather(batch.open(), asyncio.to_thread(_settle))
        assert batch.task is not None
        self._watch(batch.task)
        self._front = front = self._make_front(credentials, store, committer, batch, stop)
        await front.open(place.sockets)
        duties = {
            "finished jobs": batch.expire,
            "fair shares": batch.save_shares,
            "events": feed.sweep,
            "replies": replies.sweep,
            **front.duties(),
        }
        housekeeping = Housekeeping(self._clock, duties)
        front.serve_with(housekeeping)
        self._housekeeping = asyncio.create_task(housekeeping.run())
        self._watch(self._housekeeping)
        self._note.leave(self._instance())
        gc.freeze()

    def _occupy(self) -> address.Place:
        self._place = place = address.occupy(self.config.host, self.config.port)
        self.endpoint = self.config.advertise or place.endpoint
        self._local = place.local
        return place

    def _make_store(self) -> Store:
        if self.config.database is None:
            from tidemill.platform.sqlite import SqliteStore

            return SqliteStore(self.config.data / backup.DATABASE)
        from tidemill.platform.postgres import PostgresStore

        return PostgresStore(
            self.config.database,
            wait_for_lease=True,
            on_lost=self._fail,
            on_standby=self._stand_by,
        )

    def _stand_by(self, leader: str) -> None:
        """Leave the port meanwhile: clients are refused at once and turn to the leader."""
        if self._place is not None:
            self._place.close()
            self._place = None
        self._on_standby(leader)

    def _make_batch(
        self,
        credentials: CredentialMaker,
        store: Store,
        committer: Committer,
        ledger: StoreLedger,
        replies: Replies,
    ) -> batch_run.Runtime:
        config = self.config
        self._engines = engines = engine.load_all(config.data)

        def attempt_environment(attempt_id: str) -> Mapping[str, str]:
            return {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_REGION": config.region,
                "AWS_DEFAULT_REGION": config.region,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._local + CREDENTIALS_PATH,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": credentials.attempt_token(attempt_id),
            }

        return batch_run.Runtime(
            names=Names(config.account, config.region),
            limits=config.limits_in_force,
            database=store,
            committer=committer,
            clock=self._clock,
            engines=engines,
            offers=engine.offers_of(engines),
            attempt_environment=attempt_environment,
            ledger=ledger,
            replies=replies,
            keep_s=config.keep_ms // 1000,
        )

    def _make_front(
        self,
        credentials: CredentialMaker,
        store: Store,
        committer: Committer,
        batch: batch_run.Runtime,
        stop: asyncio.Event,
    ) -> Front:
        from tidemill.server.front import Front

        async def stop_server(params: Mapping[str, Any]) -> Mapping[str, Any]:
            self.jobs_stop_too = bool(params.get("jobs"))
            stop.set()
            return {"runningJobs": self.running_jobs}

        async def back_up(params: Mapping[str, Any]) -> Mapping[str, Any]:
            destination = Path(str(params.get("destination", "")))
            copied = await backup.back_up(store, self.config.data, destination)
            return {"files": copied.files, "bytes": copied.size}

        async def conditions(params: Mapping[str, Any]) -> Mapping[str, Any]:
            found = batch.conditions(str(params.get("jobId", "")))
            await batch.settled()
            return {"conditions": found}

        async def tell_health(params: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
            return health(self.config, self._engines)

        operations = {
            "stop": stop_server,
            "backup": back_up,
            "conditions": conditions,
            "health": tell_health,
        }
        own_paths = OwnPaths(credentials, self._clock, batch.is_active, operations)
        return Front(self.config, self._clock, store, committer, batch, credentials, own_paths)

    def _instance(self) -> instance.Instance:
        return instance.Instance(
            pid=os.getpid(),
            endpoint=self.endpoint,
            local=self._local,
            region=self.config.region,
            account=self.config.account,
            database=self.config.database_name,
        )

    @property
    def running_jobs(self) -> int:
        """Attempts that are under way now."""
        return self._batch.running_attempts if self._batch is not None else 0

    async def close(self, *, stop_jobs: bool) -> None:
        """Take everything down, in the order opposite to that in which it was opened."""
        if self._front is not None:
            await self._front.stop_listening()
        if self._place is not None:
            self._place.close()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.gather(self._housekeeping, return_exceptions=True)
        if self._batch is not None:
            await self._batch.close(stop_jobs=stop_jobs)
        if self._front is not None:
            await self._front.close()
        if self._store is not None:
            await self._store.close()
        self._note.take_away()

    def _watch(self, task: asyncio.Task[None]) -> None:
        """An error that ends one of the server's tasks ends the server."""

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                if not isinstance(error, StoreError):  # those say all in their one sentence
                    log.error("A part of the server has failed", exc_info=error)
                self._fail(error)

        task.add_done_callback(ended)

    def _fail(self, error: BaseException) -> None:
        if not self.failure.done():
            self.failure.set_result(error)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"The data folder {folder} can't be used ({error.strerror}); give one that this user "
            f"may write with --data."
        ) from error


def _refuse_second(config: ServerConfig) -> None:
    """Raise `StartError` when a server has this folder and would not know of this one.

    Two on one PostgreSQL database may share a folder: the database says which of them leads.
    """
    try:
        other = instance.read(config.data)
    except OSError:  # of a folder that can't be used: `_make_folder` says so in a moment
        return
    if other is None or (other.database and other.database == config.database_name):
        return
    raise StartError(
        f"A server (process {other.pid}) runs on the data folder {config.data} already, at "
        f"{other.endpoint}; use that one, end it with `tidemill stop`, or choose another folder "
        f"with --data."
    )


def _settle() -> None:
    """Import what is left."""
    importlib.import_module("tidemill.server.front")
    precompiled.end()
