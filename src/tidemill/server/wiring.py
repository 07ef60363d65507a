"""The one place that names concrete parts and puts them together; opens and closes them in order.

A port is bound first, so that a server that can't be reached touches nothing; requests are
accepted last, when everything behind them stands.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill.platform.clock import Now, RealClock
from tidemill.platform.commit import Committer
from tidemill.platform.disk import DiskFloor
from tidemill.platform.feed import Feed
from tidemill.platform.housekeeping import Duty, Housekeeping
from tidemill.platform.ledger import StoreLedger
from tidemill.platform.log_reader import LogReader
from tidemill.platform.retry import Replies
from tidemill.platform.service import Service
from tidemill.platform.store import Store
from tidemill.server import backup, engine, instance
from tidemill.server.authentication import Authentication
from tidemill.server.config import ServerConfig, StartError
from tidemill.server.credential import CredentialMaker, load_or_make
from tidemill.server.gateway import Gateway
from tidemill.server.http import Application
from tidemill.server.listen import Listener, bind
from tidemill.server.own_path import CREDENTIALS_PATH, OwnPaths
from tidemill.server.spool import Spool
from tidemill.services.batch import run as batch_run
from tidemill.services.batch.api import BatchService
from tidemill.services.batch.name import Names
from tidemill.services.logs import service as logs
from tidemill.services.s3 import service as s3
from tidemill.services.sts.service import Issuer, StsService

log = logging.getLogger("tidemill")

MIGRATIONS = [*batch_run.MIGRATIONS, *logs.MIGRATIONS, *s3.MIGRATIONS]
TIDY_PAUSE_MS = 50
TIDY_EVERY_MS = 60_000


class Server:
    """A whole server. `open` once, `close` once; `failure` is done when it must stop at once."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.jobs_stop_too = False
        self.endpoint = ""
        self._clock = RealClock()
        self._tasks: list[asyncio.Task[None]] = []
        self._bound: socket.socket | None = None
        self._listener: Listener | None = None
        self._store: Store | None = None
        self._batch: batch_run.Runtime | None = None
        self._s3: s3.S3Service | None = None
        self._logs: logs.LogsService | None = None

    async def open(self, stop: asyncio.Event) -> None:
        """Stand up and answer; `stop` is set when somebody asks the server to end.

        Raises `StartError` or `StoreError`; `close` then takes down what stood already.
        """
        config = self.config
        _make_folder(config.data)
        self._bound = bind(config.host, config.port)
        self.endpoint = _endpoint(config.host, self._bound)
        credentials = CredentialMaker(load_or_make(config.data))
        self._store = store = self._make_store()
        await store.open(MIGRATIONS)
        committer = Committer(store)
        committer.failed.add_done_callback(lambda done: self._fail(done.result()))
        feed = Feed(store, committer)
        await feed.open()
        replies = Replies(store, committer, self._clock)
        self._batch = batch = self._make_batch(
            credentials, store, committer, StoreLedger(feed, replies), replies
        )
        await batch.open()
        assert batch.task is not None
        self._watch(batch.task)
        services = await self._open_services(credentials, store, committer, batch)
        self._start(Housekeeping(self._clock, self._duties(feed, replies)).run())
        await self._listen(credentials, services, stop)

    def _make_store(self) -> Store:
        if self.config.database is None:
            from tidemill.platform.sqlite import SqliteStore

            return SqliteStore(self.config.data / backup.DATABASE)
        from tidemill.platform.postgres import PostgresStore

        return PostgresStore(self.config.database, wait_for_lease=True, on_lost=self._fail)

    def _make_batch(
        self,
        credentials: CredentialMaker,
        store: Store,
        committer: Committer,
        ledger: StoreLedger,
        replies: Replies,
    ) -> batch_run.Runtime:
        config = self.config
        engines = engine.load_all(config.data)

        def attempt_environment(attempt_id: str) -> Mapping[str, str]:
            return {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_REGION": config.region,
                "AWS_DEFAULT_REGION": config.region,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.endpoint + CREDENTIALS_PATH,
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

    async def _open_services(
        self,
        credentials: CredentialMaker,
        store: Store,
        committer: Committer,
        batch: batch_run.Runtime,
    ) -> dict[str, Service]:
        config = self.config
        self._s3 = objects = s3.S3Service(
            store,
            committer,
            config.data / backup.OBJECTS,
            self._clock,
            config.limits_in_force,
            config.account,
            config.region,
        )
        await objects.open()
        self._logs = output = logs.LogsService(
            LogReader(config.data / backup.LOGS),
            store,
            committer,
            self._clock,
            config.account,
            config.region,
            config.keep_ms,
        )
        await output.open()
        parts: list[Service] = [
            BatchService(batch),
            objects,
            output,
            StsService(config.account, Issuer(self._clock, credentials.issue)),
        ]
        return {service.name: service for service in parts}

    def _duties(self, feed: Feed, replies: Replies) -> dict[str, Duty]:
        assert self._batch is not None
        output, objects = self._logs, self._s3
        assert output is not None
        assert objects is not None

        async def tidy_objects(now: Now) -> int:
            did = await objects.tidy()
            return now.mono_ms + (TIDY_PAUSE_MS if did else TIDY_EVERY_MS)

        return {
            "finished jobs": self._batch.expire,
            "fair shares": self._batch.save_shares,
            "events": feed.sweep,
            "replies": replies.sweep,
            "objects": tidy_objects,
            "logs": output.expire,
        }

    async def _listen(
        self,
        credentials: CredentialMaker,
        services: Mapping[str, Service],
        stop: asyncio.Event,
    ) -> None:
        config = self.config
        assert self._bound is not None
        assert self._batch is not None
        spool = Spool(config.data / "spool")
        spool.open()
        own_paths = OwnPaths(
            credentials,
            self._clock,
            self._batch.is_active,
            {"stop": self._stop_operation(stop), "backup": self._backup_operation},
        )
        gateway = Gateway(
            Authentication(credentials, self._clock, config.region, is_open=config.auth == "off"),
            services,
            own_paths,
            DiskFloor(config.data),
            account=config.account,
            region=config.region,
        )
        self._listener = Listener(Application(gateway, spool), self._bound)
        await self._listener.open()
        instance.write(
            config.data,
            instance.Instance(
                pid=os.getpid(),
                endpoint=self.endpoint,
                region=config.region,
                account=config.account,
            ),
        )

    def _stop_operation(self, stop: asyncio.Event) -> Any:
        async def stop_server(params: Mapping[str, Any]) -> Mapping[str, Any]:
            self.jobs_stop_too = bool(params.get("jobs"))
            stop.set()
            return {"runningJobs": self.running_jobs}

        return stop_server

    async def _backup_operation(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self._store is not None
        destination = Path(str(params.get("destination", "")))
        copied = await backup.back_up(self._store, self.config.data, destination)
        return {"files": copied.files, "bytes": copied.size}

    @property
    def running_jobs(self) -> int:
        """Attempts that are under way now."""
        return self._batch.running_attempts if self._batch is not None else 0

    async def close(self, *, stop_jobs: bool) -> None:
        """Take everything down, in the order opposite to that in which it was opened."""
        if self._listener is not None:
            await self._listener.close()
            instance.remove(self.config.data)
        elif self._bound is not None:
            self._bound.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._batch is not None:
            await self._batch.close(stop_jobs=stop_jobs)
        if self._logs is not None:
            await self._logs.close()
        if self._s3 is not None:
            await self._s3.close()
        if self._store is not None:
            await self._store.close()

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.append(task)
        self._watch(task)

    def _watch(self, task: asyncio.Task[None]) -> None:
        """An error that ends one of the server's tasks ends the server."""

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
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


def _endpoint(host: str, bound: socket.socket) -> str:
    """Where clients on this machine reach the server: jobs are given this address."""
    port = bound.getsockname()[1]
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
