"""From rows to memory at the start: jobs as they were, and the effects that their state implies.

An attempt that was STARTING may or may not have reached its engine, so it is ordered again; one
that was RUNNING is asked after. Both are harmless when the engine knows the attempt. What was to
be stopped is ordered to stop again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tidemill.platform.clock import Now
from tidemill.services.batch import backoff, intake, lifecycle, progress, release
from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.book import Book
from tidemill.services.batch.dependency import after_restart
from tidemill.services.batch.effect import RecoverAttempt, start_of, stop_of
from tidemill.services.batch.intake import SpecCache
from tidemill.services.batch.job import Job, Running, Starting, Stop, UnderWay, Unit
from tidemill.services.batch.multinode import MultiNodeJob, Node
from tidemill.services.batch.progress import Progress
from tidemill.services.batch.state import State
from tidemill.services.batch.store import ActiveJob

_RELEASED: Final = (State.RUNNABLE, State.STARTING, State.RUNNING, State.SUCCEEDED)


def restore(book: Book, specs: SpecCache, rows: Iterable[ActiveJob], now: Now) -> None:
    """Take up every active job, in the order of submission.

    What was seen running has its room before what may still wait in its engine for some.
    """
    under_way: list[Unit] = []
    for row in rows:
        found = after_restart(book.jobs, row.dependencies)
        job = intake.make(row.id, row.seq, specs.shared(row.spec), row.array_size, found)
        intake.enter(book, job)
        job.state = row.state
        _restore_unit(job, row.started_ms, row.progress)
        _restore_delay(book, job, row, now)
        if isinstance(job, ArrayJob):
            under_way += _restore_children(book, job, row, now)
            continue
        if isinstance(job, MultiNodeJob):
            _restore_nodes(job, row)
        if isinstance(job.phase, UnderWay):
            under_way.append(job)
        elif job.state is State.RUNNABLE and not backoff.pause(book, job, now):
            book.line_up(job)
    for unit in sorted(under_way, key=lambda unit: not isinstance(unit.phase, Running)):
        _take_up(book, unit, now)


def _restore_unit(unit: Unit, started_ms: int | None, stored: Progress) -> None:
    unit.attempt = stored.attempt
    unit.past = progress.past_of(stored)
    environment, stream = stored.environment or "", stored.container.log_stream_name or ""
    stop = _stop_of(stored)
    if unit.state is State.STARTING:
        unit.phase = Starting(environment, stream, stop)
    elif unit.state is State.RUNNING:
        assert started_ms is not None
        unit.phase = Running(environment, stream, stop, started_ms)


def _stop_of(stored: Progress) -> Stop | None:
    return Stop(stored.stop, stored.status_reason or "") if stored.stop is not None else None


def _restore_delay(book: Book, job: Job, row: ActiveJob, now: Now) -> None:
    """Have the job wait for what is left of its delay; for none, if that passed meanwhile.

    An array's parent stays PENDING, so only its children tell whether it has been released.
    """
    extension = job.spec.extension
    if extension is None or not extension.delay_ms or job.state is not State.PENDING:
        return
    children = row.progress.status_summary or {}
    if any(children.get(state.name) for state in _RELEASED):
        return
    due_ms = row.created_ms + extension.delay_ms
    book.delays.set(job.id, now.mono_ms + max(0, due_ms - now.wall_ms))


def _restore_children(book: Book, array: ArrayJob, row: ActiveJob, now: Now) -> list[Unit]:
    """Put the children where they belong; those under way are returned."""
    array.stop = _stop_of(row.progress)
    for first, last, state in row.ended:
        array.held.take_range(first, last)
        if state is State.FAILED:
            array.failed.add_range(first, last)
        else:
            array.succeeded += last - first + 1
    for part in row.parts:
        array.held.discard(part.index)
        child = Child(array=array, index=part.index, state=part.state)
        array.children[part.index] = child
        _restore_unit(child, part.started_ms, part.progress)
        if part.state is State.RUNNABLE and not backoff.pause(book, child, now):
            array.ready.add(part.index)
    for first, last in release.free_children(book, array):
        array.held.take_range(first, last)
        array.ready.add_range(first, last)
    if array.ready:
        book.line_up(array)
    return [each for each in array.children.values() if isinstance(each.phase, UnderWay)]


def _restore_nodes(job: MultiNodeJob, row: ActiveJob) -> None:
    job.main_address = row.progress.address or ""
    job.result = progress.result_of(row.progress)
    for part in row.parts:
        node = job.nodes[part.index] = Node(cluster=job, index=part.index, state=part.state)
        _restore_unit(node, part.started_ms, part.progress)


def _take_up(book: Book, unit: Unit, now: Now) -> None:
    """Let what is under way have its room and its deadline, and ask after it."""
    phase, job = unit.phase, unit.job
    assert isinstance(phase, UnderWay)
    spec = job.spec
    book.scheduler.occupy(unit.key, spec.queue, phase.environment, spec.request, spec.share, now)
    if not isinstance(job, MultiNodeJob):
        lifecycle.set_deadline(book, unit, now)
        _ask_again(book, unit)
        return
    if job.result is None:
        lifecycle.set_deadline(book, job, now)
    for node in job.nodes.values():
        _ask_again(book, node)


def _ask_again(book: Book, unit: Unit) -> None:
    phase = unit.phase
    if not isinstance(phase, UnderWay):
        return
    if isinstance(phase, Starting):
        book.effects.append(start_of(unit))
    else:
        book.effects.append(RecoverAttempt(unit.attempt_id, phase.environment))
    if phase.stop is not None:
        book.effects.append(stop_of(unit))
