"""Why a job waits: its statusReason and its conditions, worked out when somebody asks.

Never stored, so it is always true at the moment of asking. What is in line for room the
scheduler explains; what waits for other jobs, or for a time to come, is explained here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tidemill.platform.clock import Now
from tidemill.services.batch import backoff
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.extension import BACKOFF_TAG, DELAY_TAG
from tidemill.services.batch.job import Job
from tidemill.services.batch.multinode import MultiNodeJob
from tidemill.services.batch.release import is_held
from tidemill.services.batch.scheduling.spec import Condition
from tidemill.services.batch.state import State


def status_reason(book: Book, job_id: str, now: Now) -> str | None:
    """What an active job, an array's child (`id:3`) or a node (`id#1`) waits for, in one sentence.

    None when it is not active, or waits for nothing.
    """
    parent, hash_sign, node = job_id.partition("#")
    if hash_sign:
        return _of_node(book, parent, node, now)
    job, index = _find(book, job_id)
    if job is None or job.has_ended:
        return None
    if not isinstance(job, ArrayJob):
        return _of_single(book, job, now)
    if index is None:
        return _of_parent(book, job, now)
    return _of_child(book, job, index, now)


def conditions(book: Book, job_id: str, now: Now) -> list[Condition]:
    """Every condition for its start, in order, with numbers, and whether it holds."""
    job, index = _find(book, job_id)
    if job is None or job.has_ended:
        return []
    found = [
        Condition(name="dependency", holds=False, detail=f"{_named(book, wait)} must succeed")
        for wait in _awaited(job, index)
    ]
    if job.id in book.delays:
        found.append(Condition(name="delay", holds=False, detail=_until(book, job, now)))
    if job_id in book.pauses:
        found.append(Condition(name="backoff", holds=False, detail=_pause(book, job_id, now)))
    elif _is_in_line(job, index):
        found += book.scheduler.conditions(job_id, now)
    return found


def _find(book: Book, job_id: str) -> tuple[Job | None, int | None]:
    parent, colon, index = job_id.partition(":")
    job = book.jobs.get(parent)
    if not colon:
        return job, None
    is_child = isinstance(job, ArrayJob) and index.isdecimal()
    return (job, int(index)) if is_child else (None, None)


def _of_single(book: Book, job: Job, now: Now) -> str | None:
    if job.state is State.RUNNABLE:
        return _of_runnable(book, job.id, now)
    if is_held(book, job):
        return _held(book, job, list(job.waits), now)
    return _starting(job.state)


def _of_runnable(book: Book, key: str, now: Now) -> str:
    if key in book.pauses:
        return f"Waits {_pause(book, key, now)}"
    return book.scheduler.explain(key, now)


def _of_parent(book: Book, array: ArrayJob, now: Now) -> str | None:
    if is_held(book, array):
        return _held(book, array, list(array.waits), now)
    if array.ready:
        return book.scheduler.explain(array.id, now)
    if array.children:
        left = len(array.children) + len(array.held)
        ends = f"Waits for {_count(left, 'child', 'children')} of {array.size} to end"
        return f"{ends}{_pausing(book, array)}"
    first = array.held.first
    return None if first is None else _of_child(book, array, first, now)


def _of_child(book: Book, array: ArrayJob, index: int, now: Now) -> str | None:
    state = array.state_of(index)
    if state is State.PENDING:
        return _held(book, array, _awaited(array, index), now)
    if state is State.RUNNABLE:
        return _of_runnable(book, f"{array.id}:{index}", now)
    return None if state is None else _starting(state)


def _of_node(book: Book, parent: str, number: str, now: Now) -> str | None:
    job = book.jobs.get(parent)
    if not isinstance(job, MultiNodeJob) or not number.isdecimal():
        return None
    if job.state < State.STARTING:
        return _of_single(book, job, now)
    node = job.nodes.get(int(number))
    if node is not None and node.attempt == job.attempt:
        return _starting(node.state)
    return f"Waits for the main node, {job.shape.main}, to run"


def _starting(state: State) -> str | None:
    return "Handed to its engine, which has not started it yet" if state is State.STARTING else None


def _is_in_line(job: Job, index: int | None) -> bool:
    if isinstance(job, ArrayJob):
        return bool(job.ready) if index is None else index in job.ready
    return job.state is State.RUNNABLE


def _awaited(job: Job, index: int | None) -> list[str]:
    """The ids of what must succeed first."""
    waits = list(job.waits)
    if not isinstance(job, ArrayJob) or index is None or index not in job.held:
        return waits
    waits += [f"{gate}:{index}" for gate in job.gates]
    if job.sequential and index:
        waits.append(f"{job.id}:{index - 1}")
    return waits


def _held(book: Book, job: Job, awaited: list[str], now: Now) -> str:
    """What `job`, or a child of it, waits for: jobs that must succeed, its delay, or both."""
    if job.id not in book.delays:
        return _waits_for(book, awaited)
    until = _until(book, job, now)
    return f"{_waits_for(book, awaited)}; and {until}" if awaited else f"Waits {until}"


def _until(book: Book, job: Job, now: Now) -> str:
    left_ms = book.delays.left_ms(job.id, now.mono_ms)
    due = datetime.fromtimestamp(-(-(now.wall_ms + left_ms) // 1000), UTC)
    when = f"{due:%Y-%m-%dT%H:%M:%SZ}, {_seconds(left_ms)} from now"
    return f"until {when}, as its tag {DELAY_TAG} says"


def _pause(book: Book, key: str, now: Now) -> str:
    """How long a job or child still pauses, and for which attempt of how many that count."""
    job, index = _find(book, key)
    assert job is not None
    unit = job.children[index] if isinstance(job, ArrayJob) and index is not None else job
    left = _seconds(book.pauses.left_ms(key, now.mono_ms))
    number = unit.attempt - backoff.interruptions(unit) + 1
    attempt = f"attempt {number} of {job.spec.retry.attempts}"
    return f"{left} more before {attempt}, as its tag {BACKOFF_TAG} says"


def _pausing(book: Book, array: ArrayJob) -> str:
    """How many of the children pause, where any does."""
    if not book.pauses:
        return ""
    count = sum(child.key in book.pauses for child in array.children.values())
    verb = "pauses" if count == 1 else "pause"
    return f"; {count} of them {verb} before another attempt" if count else ""


def _seconds(ms: int) -> str:
    return f"{-(-ms // 1000)} s"


def _waits_for(book: Book, job_ids: list[str]) -> str:
    pending = [job_id for job_id in job_ids if _state(book, job_id) is not None] or job_ids
    shown = ", ".join(_named(book, job_id) for job_id in pending[:3])
    more = f" and {len(pending) - 3} more" if len(pending) > 3 else ""
    return f"Waits for {_count(len(pending), 'job', 'jobs')} to succeed: {shown}{more}"


def _named(book: Book, job_id: str) -> str:
    state = _state(book, job_id)
    return job_id if state is None else f"{job_id} ({state.name})"


def _state(book: Book, job_id: str) -> State | None:
    job, index = _find(book, job_id)
    if job is None:
        return None
    if isinstance(job, ArrayJob) and index is not None:
        return job.state_of(index)
    return job.state


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
