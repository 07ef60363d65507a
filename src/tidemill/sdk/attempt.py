"""The attempts of a job, as DescribeJobs tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a job was tried. Times are UTC; None for what has not come yet."""

    started_at: datetime | None
    stopped_at: datetime | None
    exit_code: int | None
    """None while it runs, and where it left none: it never began, or was lost with its host."""
    reason: str
    """Why it ended as it did, where there is more to say than the exit code."""
    log_stream: str
    """Its stream in the group `/aws/batch/job`; empty where it printed to none."""

    @property
    def took(self) -> timedelta | None:
        """How long it ran, once it has ended."""
        if self.started_at is None or self.stopped_at is None:
            return None
        return self.stopped_at - self.started_at


def attempts_of(detail: dict[str, Any]) -> list[Attempt]:
    """All attempts of a job, the oldest first; one that runs now is the last."""
    found = [_attempt(each, each.get("container") or {}) for each in detail.get("attempts", ())]
    if detail["status"] == "RUNNING":
        found.append(_attempt(detail, detail.get("container") or {}, is_running=True))
    return found


def _attempt(told: dict[str, Any], container: dict[str, Any], is_running: bool = False) -> Attempt:
    reasons = dict.fromkeys((told.get("statusReason", ""), container.get("reason", "")))
    return Attempt(
        started_at=_time(told.get("startedAt")),
        stopped_at=None if is_running else _time(told.get("stoppedAt")),
        exit_code=None if is_running else container.get("exitCode"),
        reason="" if is_running else "; ".join(reason for reason in reasons if reason),
        log_stream=container.get("logStreamName", ""),
    )


def _time(stamp_ms: int | None) -> datetime | None:
    return None if stamp_ms is None else datetime.fromtimestamp(stamp_ms / 1000, UTC)
