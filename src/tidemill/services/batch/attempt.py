"""Attempts: their ids, how they end, where their output goes."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from tidemill.services.batch.job import Spec


class AttemptEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended, in the words of AWS's AttemptDetail.

    `exit_code` and `started_ms` are None when no process ever ran.
    """

    stopped_ms: int
    status_reason: str
    exit_code: int | None = None
    reason: str = ""
    started_ms: int | None = None
    cpu_s: float = 0.0
    memory_peak_bytes: int = 0


class AttemptName(msgspec.Struct, frozen=True):
    """An attempt id taken apart."""

    job_id: str
    index: int | None
    node: int | None
    number: int

    @classmethod
    def parse(cls, attempt_id: str) -> AttemptName | None:
        """Read `id/2`, `id:3/1` or `id#0/1`; None for anything else."""
        key, slash, number = attempt_id.rpartition("/")
        if not slash or not number.isdecimal():
            return None
        index = node = None
        job_id, mark, rest = key.partition(":")
        if mark:
            if not rest.isdecimal():
                return None
            index = int(rest)
        else:
            job_id, mark, rest = key.partition("#")
            if mark:
                if not rest.isdecimal():
                    return None
                node = int(rest)
        return cls(job_id, index, node, int(number))


_MINUTE_MS: Final = 60_000


def log_stream(spec: Spec, attempt_id: str, wall_ms: int) -> str:
    """The name of an attempt's log stream, as AWS forms it: unique, and sorted by time."""
    digest = hashlib.sha256(attempt_id.encode()).hexdigest()[:24]
    prefix = spec.log_stream_prefix or spec.definition_name
    return f"{prefix}/default/{wall_ms // _MINUTE_MS:08x}{digest}"
