"""What a server is told at its start, and where it keeps its things.

The data folder holds everything that is not in the database: the access key, logs, blobs, the
runner's journal, and `server.json`, by which the command line finds a running server.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tidemill.platform.disk import FLOOR_BYTES
from tidemill.platform.limit import AWS, LIFTED, Limits

DAY_MS = 86_400_000
KEEP_DAYS_MAX = 36_500
ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
POSTGRES_SCHEMES = ("postgresql://", "postgres://")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class StartError(Exception):
    """The server can't start: one sentence that says what is wrong and what to do."""


def default_data_folder() -> Path:
    """`$TIDEMILL_DATA`, or `tidemill` in the user's data folder by the XDG rules."""
    if chosen := os.environ.get("TIDEMILL_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tidemill"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The options of `tidemill serve`; the defaults are its defaults."""

    host: str = "127.0.0.1"
    port: int = 5057
    advertise: str | None = None
    data: Path = field(default_factory=default_data_folder)
    database: str | None = None
    limits: Literal["aws", "lifted"] = "aws"
    auth: Literal["keys", "off"] = "keys"
    account: str = "000000000000"
    region: str = "us-east-1"
    keep_days: float = 7.0
    floor_mib: int = FLOOR_BYTES >> 20

    def check(self) -> None:
        """Raise `StartError` for what can't be served."""
        if self.auth == "off" and self.host not in LOOPBACK_HOSTS:
            raise StartError(
                f"--auth off serves anybody who reaches the port, so it is allowed on loopback "
                f"only, not on --host {self.host}; use --auth keys there."
            )
        if self.advertise is not None and not _is_address(self.advertise):
            raise StartError(
                f"--advertise takes the URL at which clients reach the server, "
                f"http://tidemill.example.com:5057, without a path, not {self.advertise!r}."
            )
        if not ACCOUNT.fullmatch(self.account):
            raise StartError(f"--account must be 12 digits as on AWS, not {self.account!r}.")
        if not REGION.fullmatch(self.region):
            raise StartError(
                f"--region must be a name such as us-east-1, of small letters, digits and "
                f"hyphens, not {self.region!r}."
            )
        if not 0 < self.keep_days <= KEEP_DAYS_MAX:
            raise StartError(
                f"--keep must be more than 0 days and at most {KEEP_DAYS_MAX:,}, not "
                f"{self.keep_days:g}."
            )
        if self.database is not None and not self.database.startswith(POSTGRES_SCHEMES):
            raise StartError(
                "--database (or TIDEMILL_DATABASE) takes the URL of a PostgreSQL database, "
                "postgresql://user:password@host/name; without it, SQLite in the data folder is "
                "used."
            )

    @property
    def database_name(self) -> str:
        """The PostgreSQL database, without user and password; empty for SQLite."""
        return (self.database or "").partition("://")[2].rpartition("@")[2]

    @property
    def limits_in_force(self) -> Limits:
        """The numbers behind `limits`."""
        return LIFTED if self.limits == "lifted" else AWS

    @property
    def floor_bytes(self) -> int:
        """Free disk below which commands that need room are refused."""
        return self.floor_mib << 20

    @property
    def keep_ms(self) -> int:
        """How long finished jobs and their logs are kept."""
        return int(self.keep_days * DAY_MS)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url == f"{parts.scheme}://{parts.netloc}"
            and "@" not in parts.netloc
        )
    except ValueError:
        return False
