"""How things end, and what follows for those that waited for them.

Nothing here recurses: what ends is put in a row, and `carry_on` takes one after the other, so
that a chain of a hundred thousand jobs fails as safely as a pair.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.platform.clock import Now
from tidemill.services.batch import release
from tidemill.services.batch.array import ArrayJob, Child
from tidemill.services.batch.book import Book, Ending
from tidemill.services.batch.job import Finished, Job, Stop, StopKind, Unit
from tidemill.services.batch.reason import CHILD_FAILED, dependency_failed
from tidemill.services.batch.state import Cause

Ranges = Sequence[tuple[int, int]]


def finish(book: Book, unit: Unit, cause: Cause) -> None:
    """`unit`, whose phase tells how it ended, comes to its last state."""
    book.move(unit, cause)
    succeeded = cause is Cause.SUCCEEDED
    if not isinstance(unit, Child):
        book.ended(unit.job, succeeded=succeeded)
        return
    array = unit.array
    del array.children[unit.index]
    if succeeded:
        array.succeeded += 1
    else:
        array.failed.add(unit.index)
    book.endings.append(Ending(array, succeeded, unit.index, unit.index))


def fail_waiting(book: Book, unit: Unit, stop: Stop, now: Now) -> None:
    """End what has not started, or waits for its next attempt."""
    if isinstance(unit, ArrayJob):
        unit.stop = stop
        fail_children(book, unit, [(0, unit.size - 1)], stop, now)
        return
    if isinstance(unit, Child):
        unit.array.ready.discard(unit.index)
    book.pauses.drop(unit.key)
    book.leave_line(unit.job)
    unit.phase = Finished(stopped_ms=now.wall_ms, status_reason=stop.reason, stop=stop)
    finish(book, unit, Cause.FAILED)


def fail_children(
    book: Book, array: ArrayJob, ranges: Ranges, stop: Stop, now: Now, pair: str | None = None
) -> None:
    """End those of the children in `ranges` that have not begun.

    `pair` is the array whose children of the same indexes failed, where that is the reason.
    """
    for first, last in ranges:
        for low, high in array.take_unstarted(first, last):
            array.failed.add_range(low, high)
            book.journal.children_failed(array, low, high, stop, pair, now.wall_ms)
            book.journal.touched(array)
            book.endings.append(Ending(array, False, low, high))
    book.leave_line(array)


def fail_dependant(book: Book, job: Job, dependency: str, now: Now) -> None:
    """`dependency` has failed, and so does `job` that waited for it."""
    fail_waiting(book, job, Stop(StopKind.DEPENDENCY, dependency_failed(dependency)), now)


def fail_pairs(book: Book, job: Job, ranges: Ranges, array_id: str, now: Now) -> None:
    """Children of another array have failed, and so do those of the same indexes here."""
    assert isinstance(job, ArrayJob)
    stop = Stop(StopKind.DEPENDENCY, dependency_failed(array_id))
    fail_children(book, job, ranges, stop, now, pair=array_id)


def carry_on(book: Book, now: Now) -> None:
    """Tell those that waited for what has ended, until nothing follows any more."""
    while book.endings:
        ending = book.endings.popleft()
        if ending.first is None:
            _tell_dependants(book, ending.job.id, ending.succeeded, now)
        else:
            _children_ended(book, ending, ending.first, now)


def _children_ended(book: Book, ending: Ending, first: int, now: Now) -> None:
    array, last = ending.job, ending.last
    assert isinstance(array, ArrayJob)
    if ending.succeeded:
        _follow_success(book, array, first)
    else:
        _follow_failure(book, array, first, last, now)
    for index in book.dependants.awaited_children(array.id, first, last):
        _tell_dependants(book, f"{array.id}:{index}", ending.succeeded, now)
    if array.is_finished and not array.has_ended:
        _close(book, array, now)


def _follow_success(book: Book, array: ArrayJob, index: int) -> None:
    if array.sequential:
        release.release_child(book, array, index + 1)
    for other in book.dependants.paired(array.id):
        release.release_child(book, other, index)


def _follow_failure(book: Book, array: ArrayJob, first: int, last: int, now: Now) -> None:
    if array.sequential and last + 1 < array.size:
        stop = Stop(StopKind.DEPENDENCY, dependency_failed(f"{array.id}:{last}"))
        fail_children(book, array, [(last + 1, array.size - 1)], stop, now)
    for other in book.dependants.paired(array.id):
        fail_pairs(book, other, [(first, last)], array.id, now)


def _tell_dependants(book: Book, job_id: str, succeeded: bool, now: Now) -> None:
    for array in book.dependants.paired(job_id):
        array.gates = tuple(gate for gate in array.gates if gate != job_id)
    for job in book.dependants.take(job_id):
        if job.has_ended:
            continue
        if not succeeded:
            fail_dependant(book, job, job_id, now)
            continue
        job.waits = tuple(wait for wait in job.waits if wait != job_id)
        release.release(book, job)


def _close(book: Book, array: ArrayJob, now: Now) -> None:
    """All children have ended, and so does their parent."""
    reason, stop = "", None
    if array.failed:
        stop = array.stop
        reason = CHILD_FAILED if stop is None else stop.reason
    array.phase = Finished(stopped_ms=now.wall_ms, status_reason=reason, stop=stop)
    finish(book, array, Cause.FAILED if array.failed else Cause.SUCCEEDED)
