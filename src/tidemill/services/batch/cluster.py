"""How the nodes of a multi-node job come and go; `multinode` says what they are.

The job has a phase of its own, which follows its main node's; its nodes hold no room, the job
holds it for all of them until the last has ended.
"""

from __future__ import annotations

from tidemill.platform.clock import Now
from tidemill.services.batch import lifecycle, stopping
from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.book import Book
from tidemill.services.batch.job import Running, Stop, StopKind
from tidemill.services.batch.multinode import MultiNodeJob, Node
from tidemill.services.batch.reason import MAIN_NODE_ENDED
from tidemill.services.batch.state import Cause, State


def admitted(book: Book, job: MultiNodeJob, environment: str, now: Now) -> None:
    """There is room for all nodes: the main one begins."""
    job.attempt += 1
    job.main_address = ""
    main = _begin(book, job, job.shape.main, environment, now)
    job.phase = main.phase
    book.move(job, Cause.ADMITTED)


def started(book: Book, node: Node, at_ms: int, address: str, now: Now) -> None:
    """A node runs; once the main one does, the others begin."""
    job = node.cluster
    is_news = not isinstance(node.phase, Running)
    lifecycle.started(book, node, at_ms, now)
    if not is_news or not node.is_main:
        return
    job.main_address = address
    lifecycle.started(book, job, at_ms, now)
    assert isinstance(job.phase, Running)
    for index in range(job.shape.count):
        if index != node.index and job.phase.stop is None:
            _begin(book, job, index, job.phase.environment, now)


def exited(book: Book, node: Node, end: AttemptEnd, now: Now) -> None:
    """A node has ended. The main one takes the others with it; the last of all ends the job."""
    job = node.cluster
    if end.started_ms is not None:
        lifecycle.started(book, node, end.started_ms, now)
    lifecycle.settle(book, node)
    lifecycle.record_end(node, end)
    book.move(node, Cause.SUCCEEDED if end.exit_code == 0 else Cause.FAILED)
    if node.is_main:
        _main_ended(book, job, end, now)
    if job.result is not None and all(each.has_ended for each in job.nodes.values()):
        result, job.result = job.result, None
        lifecycle.conclude(book, job, result, now)


def _main_ended(book: Book, job: MultiNodeJob, end: AttemptEnd, now: Now) -> None:
    if end.started_ms is not None:
        lifecycle.started(book, job, end.started_ms, now)
    book.deadlines.drop(job.key)
    job.result = end
    book.journal.touched(job)
    for node in job.nodes.values():
        stopping.order_stop(book, node, Stop(StopKind.MAIN_NODE, MAIN_NODE_ENDED))


def _begin(book: Book, job: MultiNodeJob, index: int, environment: str, now: Now) -> Node:
    before = job.nodes.get(index)
    job.nodes[index] = node = Node(
        cluster=job,
        index=index,
        state=State.RUNNABLE,
        attempt=job.attempt - 1,
        past=before.past if before is not None else b"",
    )
    lifecycle.begin(book, node, environment, now)
    return node
