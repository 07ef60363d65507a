"""CancelJob, TerminateJob and timeouts: what may not go on.

What waits ends at once; what is under way is stopped, and ends when its engine says that it has.
Cancelling leaves what is under way alone.
"""

from __future__ import annotations

from msgspec.structs import replace

from tidemill.platform.clock import Now
from tidemill.services.batch import ending
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.effect import stop_of
from tidemill.services.batch.job import Job, Stop, StopKind, UnderWay, Unit
from tidemill.services.batch.multinode import MultiNodeJob
from tidemill.services.batch.reason import TIMED_OUT
from tidemill.services.batch.state import State


def stop(book: Book, job_id: str, order: Stop, now: Now) -> bool:
    """Cancel or terminate a job, an array with all its children, or one child (`id:3`).

    False when it has ended, or was never there.
    """
    parent, colon, index = job_id.partition(":")
    job = book.jobs.get(parent)
    if job is None or job.has_ended:
        return False
    if colon:
        is_child = isinstance(job, ArrayJob) and index.isdecimal()
        return is_child and _stop_child(book, job, int(index), order, now)
    if isinstance(job, ArrayJob):
        _stop_array(book, job, order, now)
    else:
        _stop_unit(book, job, order, now)
    return True


def _stop_array(book: Book, array: ArrayJob, order: Stop, now: Now) -> None:
    if array.stop is None or order.kind is StopKind.TERMINATED:
        array.stop = order
    book.journal.touched(array)
    for child in list(array.children.values()):
        _stop_unit(book, child, order, now)
    ending.fail_children(book, array, [(0, array.size - 1)], order, now)


def _stop_child(book: Book, array: Job, index: int, order: Stop, now: Now) -> bool:
    assert isinstance(array, ArrayJob)
    if array.state_of(index) is None:
        return False
    if index in array.children:
        _stop_unit(book, array.children[index], order, now)
    else:
        ending.fail_children(book, array, [(index, index)], order, now)
    return True


def _stop_unit(book: Book, unit: Unit, order: Stop, now: Now) -> None:
    if unit.state < State.STARTING:
        ending.fail_waiting(book, unit, order, now)
    elif order.kind is StopKind.TERMINATED:
        order_stop(book, unit, order)


def time_out(book: Book, key: str) -> None:
    """The deadline of a job or a child has passed: its attempt is stopped, and is its last."""
    parent, _, index = key.partition(":")
    job = book.jobs[parent]
    unit = job.children[int(index)] if isinstance(job, ArrayJob) else job
    order_stop(book, unit, Stop(StopKind.TIMEOUT, TIMED_OUT))


def order_stop(book: Book, unit: Unit, order: Stop) -> None:
    """Have what is under way stopped, unless it is being stopped, or ends anyway, already."""
    phase = unit.phase
    if not isinstance(phase, UnderWay) or phase.stop is not None:
        return
    if isinstance(unit, MultiNodeJob):
        if unit.result is not None:
            return
        for node in unit.nodes.values():
            order_stop(book, node, order)
    else:
        book.effects.append(stop_of(unit))
    unit.phase = replace(phase, stop=order)
    book.deadlines.drop(unit.key)
    book.journal.touched(unit)
