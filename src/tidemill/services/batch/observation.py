"""What engines report, made sense of. What matches nothing is late, repeated or not ours."""

from __future__ import annotations

from msgspec.structs import replace

from tidemill.platform.clock import Now
from tidemill.platform.engine import Exited, InterruptionNotice, Lost, Observation, Started
from tidemill.services.batch import cluster, lifecycle
from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.book import Book
from tidemill.services.batch.effect import stop_of
from tidemill.services.batch.job import Stop, StopKind, UnderWay, Unit
from tidemill.services.batch.multinode import Node
from tidemill.services.batch.reason import EXITED, NOT_STARTED, host_terminated


def observe(book: Book, report: Observation, now: Now) -> None:
    """Move the attempt that `report` is about, if it is one that is under way."""
    unit = book.find(report.attempt_id)
    if unit is None:
        return
    match report:
        case Started(at_ms=at_ms, address=address):
            if isinstance(unit, Node):
                cluster.started(book, unit, at_ms, address, now)
            else:
                lifecycle.started(book, unit, at_ms, now)
        case Exited():
            _end(book, unit, _exit_of(report), now)
        case Lost():
            _end(book, unit, _loss_of(unit, report), now)
        case InterruptionNotice():
            pass  # the attempt runs on until its host is gone; then it is `Lost`


def abandon(book: Book, attempt_id: str, reason: str, now: Now) -> None:
    """End what can't be reasoned about any more: FAILED at once, its attempt stopped."""
    unit = book.find(attempt_id)
    if unit is None or not isinstance(unit.phase, UnderWay):
        return
    book.effects.append(stop_of(unit))
    unit.phase = replace(unit.phase, stop=Stop(StopKind.TERMINATED, reason))
    _end(book, unit, AttemptEnd(stopped_ms=now.wall_ms, status_reason=reason), now)


def _end(book: Book, unit: Unit, end: AttemptEnd, now: Now) -> None:
    if isinstance(unit, Node):
        cluster.exited(book, unit, end, now)
    else:
        lifecycle.exited(book, unit, end, now)


def _exit_of(report: Exited) -> AttemptEnd:
    started_ms = report.started_at_ms
    if started_ms is None and report.exit_code is not None:
        started_ms = report.at_ms
    return AttemptEnd(
        stopped_ms=report.at_ms,
        status_reason=NOT_STARTED if report.exit_code is None else EXITED,
        exit_code=report.exit_code,
        reason=_storable(report.reason),
        started_ms=started_ms,
        cpu_s=report.usage.cpu_s,
        memory_peak_bytes=report.usage.memory_peak_bytes,
    )


def _loss_of(unit: Unit, report: Lost) -> AttemptEnd:
    assert isinstance(unit.phase, UnderWay)
    return AttemptEnd(
        stopped_ms=report.at_ms,
        status_reason=host_terminated(unit.phase.environment),
        reason=_storable(report.reason),
    )


def _storable(text: str) -> str:
    """An engine's words without what no database takes: names of files may be any bytes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
