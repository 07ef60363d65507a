"""An attempt's life: admitted, started, ended, and perhaps another one after it.

For jobs and array children alike; `cluster` has the nodes of multi-node jobs, which use parts of
this. Reports of attempts that are not under way have been dropped before they come here.
"""

from __future__ import annotations

from msgspec.structs import replace

from tidemill.platform.clock import Now
from tidemill.services.batch import backoff, ending, progress
from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.attempt import AttemptEnd, log_stream
from tidemill.services.batch.book import Book
from tidemill.services.batch.effect import SettleAttempt, start_of
from tidemill.services.batch.extension import INTERRUPTIONS_MAX
from tidemill.services.batch.job import Finished, Job, Running, Starting, UnderWay, Unit
from tidemill.services.batch.multinode import Node
from tidemill.services.batch.reason import interrupted_too_often
from tidemill.services.batch.retry import Verdict, judge
from tidemill.services.batch.state import Cause, State


def admitted(book: Book, job: Job, index: int | None, environment: str, now: Now) -> None:
    """The scheduler has given room to `job`, or to its child `index`."""
    unit: Unit = job
    if isinstance(job, ArrayJob):
        assert index is not None
        unit = job.children.get(index) or _first_seen(job, index)
    begin(book, unit, environment, now)


def _first_seen(array: ArrayJob, index: int) -> Child:
    child = Child(array=array, index=index, state=State.RUNNABLE)
    array.children[index] = child
    return child


def begin(book: Book, unit: Unit, environment: str, now: Now) -> None:
    """Begin the unit's next attempt."""
    unit.attempt += 1
    stream = log_stream(unit.job.spec, unit.attempt_id, now.wall_ms)
    unit.phase = Starting(environment, stream, None)
    book.move(unit, Cause.ADMITTED)
    book.effects.append(start_of(unit))


def started(book: Book, unit: Unit, at_ms: int, now: Now) -> None:
    """Its process runs since `at_ms`; said again, it is ignored."""
    phase = unit.phase
    if isinstance(phase, Starting):
        unit.phase = Running(phase.environment, phase.log_stream, phase.stop, at_ms)
        book.move(unit, Cause.STARTED)
        set_deadline(book, unit, now)


def set_deadline(book: Book, unit: Unit, now: Now) -> None:
    """Have a running job or child time out when its spec says so."""
    timeout_s = unit.job.spec.timeout_s
    phase = unit.phase
    if timeout_s is None or not isinstance(phase, Running) or phase.stop is not None:
        return
    if isinstance(unit, Node):
        return  # the timeout covers the whole job
    ran_ms = max(0, now.wall_ms - phase.started_ms)
    book.deadlines.set(unit.key, now.mono_ms + max(0, timeout_s * 1000 - ran_ms))


def exited(book: Book, unit: Unit, end: AttemptEnd, now: Now) -> None:
    """The attempt has ended, or is lost for good."""
    if end.started_ms is not None:
        started(book, unit, end.started_ms, now)
    settle(book, unit)
    conclude(book, unit, end, now)


def settle(book: Book, unit: Unit) -> None:
    """The engine may forget the attempt once its end is committed."""
    assert isinstance(unit.phase, UnderWay)
    book.effects.append(SettleAttempt(unit.attempt_id, unit.phase.environment))


def conclude(book: Book, unit: Unit, end: AttemptEnd, now: Now) -> None:
    """Give the attempt's room back, and decide what its end means for the job."""
    phase, job = unit.phase, unit.job
    assert isinstance(phase, UnderWay)
    if job.spec.timeout_s is not None:
        book.deadlines.drop(unit.key)
    book.give_back(unit.key, now, has_run=isinstance(phase, Running))
    verdict, end = _judge(unit, end, is_stopped=phase.stop is not None)
    record_end(unit, end)
    match verdict:
        case Verdict.RETRY | Verdict.RESUME:
            _try_again(book, unit, now)
        case Verdict.SUCCEED:
            ending.finish(book, unit, Cause.SUCCEEDED)
        case Verdict.FAIL:
            ending.finish(book, unit, Cause.FAILED)


def _judge(unit: Unit, end: AttemptEnd, *, is_stopped: bool) -> tuple[Verdict, AttemptEnd]:
    """What the end of an attempt comes to; and the end, in the words that it is told in."""
    job = unit.job
    interrupted, interruptions = None, 0
    if job.spec.extension is not None:
        interrupted = job.spec.extension.interrupted
        interruptions = backoff.interruptions(unit)
    verdict = judge(
        job.spec.retry,
        unit.attempt,
        end,
        is_stopped=is_stopped,
        interrupted=interrupted,
        interruptions=interruptions,
    )
    goes_on = verdict in (Verdict.RETRY, Verdict.RESUME)
    if goes_on and isinstance(job, ArrayJob) and job.stop is not None:
        verdict = Verdict.FAIL
    if interruptions >= INTERRUPTIONS_MAX and end.exit_code == interrupted:
        end = replace(end, status_reason=interrupted_too_often(INTERRUPTIONS_MAX))
    return verdict, end


def record_end(unit: Unit, end: AttemptEnd) -> None:
    """Enter the attempt among the ended ones; the unit's phase tells how it ended."""
    phase = unit.phase
    assert isinstance(phase, UnderWay)
    started_ms = phase.started_ms if isinstance(phase, Running) else None
    reason = end.status_reason if phase.stop is None else phase.stop.reason
    detail = progress.encode_attempt(end, started_ms, reason, phase.log_stream)
    unit.past = b"%b,%b" % (unit.past, detail) if unit.past else detail
    unit.phase = Finished(
        stopped_ms=end.stopped_ms,
        status_reason=reason,
        stop=phase.stop,
        started_ms=started_ms,
        environment=phase.environment,
        log_stream=phase.log_stream,
        exit_code=end.exit_code,
        reason=end.reason,
    )


def _try_again(book: Book, unit: Unit, now: Now) -> None:
    unit.phase = None
    book.move(unit, Cause.RETRIED)
    if backoff.pause(book, unit, now):
        return
    if isinstance(unit, Child):
        unit.array.ready.add(unit.index)
    book.line_up(unit.job)
