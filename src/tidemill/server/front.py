"""What stands between the socket and Batch: the other services, the gateway, the listener.

A module of its own because it is imported while the process engine's runner starts: both take
about as long.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from tidemill.platform.clock import Clock, Now
from tidemill.platform.commit import Committer
from tidemill.platform.disk import DiskFloor
from tidemill.platform.housekeeping import Duty, Housekeeping
from tidemill.platform.log_reader import LogReader
from tidemill.platform.service import Service
from tidemill.platform.store import Store
from tidemill.server import backup
from tidemill.server.authentication import Authentication
from tidemill.server.config import ServerConfig
from tidemill.server.credential import CredentialMaker
from tidemill.server.gateway import RETRYABLE, Gateway
from tidemill.server.http import Application
from tidemill.server.listen import Listener
from tidemill.server.own_path import OwnPaths
from tidemill.server.spool import Spool
from tidemill.services.batch.api import BatchService
from tidemill.services.batch.run import Runtime
from tidemill.services.logs.service import LogsService
from tidemill.services.s3.service import S3Service
from tidemill.services.sts.service import Issuer, StsService

TIDY_PAUSE_MS = 50
TIDY_EVERY_MS = 60_000
LIFECYCLES = "lifecycle rules"


class Front:
    """Answers requests. `open` once, `close` once."""

    def __init__(
        self,
        config: ServerConfig,
        clock: Clock,
        store: Store,
        committer: Committer,
        batch: Runtime,
        credentials: CredentialMaker,
        own_paths: OwnPaths,
    ) -> None:
        self._config = config
        disk = DiskFloor(config.data, config.floor_bytes)
        self._spool = Spool(config.data / "spool", lambda: disk.check(RETRYABLE["s3"]))
        self._listener: Listener | None = None
        self._objects = S3Service(
            store,
            committer,
            config.data / backup.OBJECTS,
            clock,
            config.limits_in_force,
            config.account,
            config.region,
        )
        self._output = LogsService(
            LogReader(config.data / backup.LOGS),
            store,
            committer,
            clock,
            config.account,
            config.region,
            config.keep_ms,
        )
        services: list[Service] = [
            BatchService(batch),
            self._objects,
            self._output,
            StsService(config.account, Issuer(clock, credentials.issue)),
        ]
        self._gateway = Gateway(
            Authentication(credentials, clock, config.region, is_open=config.auth == "off"),
            {service.name: service for service in services},
            own_paths,
            disk,
            account=config.account,
            region=config.region,
        )

    async def open(self, bound: Sequence[socket.socket]) -> None:
        """Open the services, then take connections on `bound`."""
        await self._objects.open()
        await self._output.open()
        self._spool.open()
        self._listener = Listener(Application(self._gateway, self._spool), bound)
        await self._listener.open()

    def duties(self) -> dict[str, Duty]:
        """What the services do in the background."""

        async def tidy_objects(now: Now) -> int:
            did = await self._objects.tidy()
            return now.mono_ms + (TIDY_PAUSE_MS if did else TIDY_EVERY_MS)

        return {
            "objects": tidy_objects,
            LIFECYCLES: self._objects.expire,
            "logs": self._output.expire,
        }

    def serve_with(self, housekeeping: Housekeeping) -> None:
        """Have what clients change heeded by the duties now, not when they are due anyway."""
        self._objects.hasten = lambda: housekeeping.hasten(LIFECYCLES)

    async def stop_listening(self) -> None:
        """Take no more requests, and finish those under way."""
        if self._listener is not None:
            await self._listener.close()

    async def close(self) -> None:
        """Close the services, after everything that could still ask them."""
        await self._output.close()
        await self._objects.close()
