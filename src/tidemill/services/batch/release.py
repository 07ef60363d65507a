"""From PENDING to RUNNABLE: what happens when there is nothing left to wait for but room.

A job is released as a whole once all jobs that it waits for have succeeded and its delay, if it
asked for one, is over. An array's children are released then too, but for those that another
array (N_TO_N) or the child before them (SEQUENTIAL) still holds; those follow one by one.
"""

from __future__ import annotations

from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.job import Job
from tidemill.services.batch.state import Cause, State

Ranges = list[tuple[int, int]]


def hold(book: Book, job: Job) -> None:
    """`job` waits for others, or for its delay."""
    book.move(job, Cause.HELD)
    if isinstance(job, ArrayJob):
        for first, last in job.held.ranges():
            book.journal.children_moved(job, first, last, State.PENDING)


def release(book: Book, job: Job) -> None:
    """One of the things that `job` as a whole waited for has come about; perhaps the last."""
    if is_held(book, job):
        return
    if not isinstance(job, ArrayJob):
        book.move(job, Cause.RELEASED)
        book.line_up(job)
        return
    if job.state is State.SUBMITTED:
        book.move(job, Cause.RELEASED)
    _release_children(book, job, free_children(book, job))


def is_held(book: Book, job: Job) -> bool:
    """Whether `job` as a whole still waits."""
    return bool(job.waits) or job.id in book.delays


def release_child(book: Book, array: ArrayJob, index: int) -> None:
    """One of the things that child `index` may have waited for has come about."""
    if index in array.held and _is_free(book, array, index):
        _release_children(book, array, [(index, index)])


def free_children(book: Book, array: ArrayJob) -> Ranges:
    """Which of the children that are held have nothing to wait for."""
    first = array.held.first
    if is_held(book, array) or first is None:
        return []
    if array.sequential:
        return [(first, first)] if _is_free(book, array, first) else []
    free = IndexSet(array.held.ranges())
    for other in _gates(book, array):
        for span in other.unfinished():
            free.take_range(*span)
    return free.ranges()


def _is_free(book: Book, array: ArrayJob, index: int) -> bool:
    if is_held(book, array):
        return False
    if array.sequential and index and not array.has_succeeded(index - 1):
        return False
    return all(other.has_succeeded(index) for other in _gates(book, array))


def _gates(book: Book, array: ArrayJob) -> list[ArrayJob]:
    gates = (book.jobs[gate] for gate in array.gates)
    return [gate for gate in gates if isinstance(gate, ArrayJob)]


def _release_children(book: Book, array: ArrayJob, ranges: Ranges) -> None:
    for first, last in ranges:
        array.held.take_range(first, last)
        array.ready.add_range(first, last)
        book.journal.children_moved(array, first, last, State.RUNNABLE)
    if ranges:
        book.journal.touched(array)
        book.line_up(array)
