"""The pause between an attempt that failed and the next one, where a job asks for it.

A job that pauses is RUNNABLE and not in line: it takes no room, and holds nobody back. How long
is worked out of the end of its last attempt, so a restart comes to the same moment.
"""

from __future__ import annotations

from tidemill.platform.clock import Now
from tidemill.services.batch import extension, progress
from tidemill.services.batch.array import ArrayJob
from tidemill.services.batch.book import Book
from tidemill.services.batch.job import Unit


def pause(book: Book, unit: Unit, now: Now) -> bool:
    """Have `unit`, which waits for its next attempt, pause first; False where it need not.

    After an interruption there is no pause: nothing has failed.
    """
    asked = unit.job.spec.extension
    if asked is None or asked.backoff is None or not unit.past:
        return False
    ended = progress.ended_attempts(unit.past)
    codes = [each.container.exit_code for each in ended]
    spared = extension.interruptions(asked, codes)
    if spared > extension.interruptions(asked, codes[:-1]):
        return False
    wait_ms = extension.backoff_ms(asked.backoff, len(codes) - spared, unit.attempt_id)
    left_ms = min(wait_ms, ended[-1].stopped_at + wait_ms - now.wall_ms)
    if left_ms <= 0:
        return False
    book.pauses.set(unit.key, now.mono_ms + left_ms)
    return True


def is_over(book: Book, key: str) -> None:
    """The pause of a job, or of an array's child, is over: it joins the line again."""
    parent, _, index = key.partition(":")
    job = book.jobs[parent]
    if isinstance(job, ArrayJob):
        job.ready.add(int(index))
    book.line_up(job)


def interruptions(unit: Unit) -> int:
    """How many of the unit's ended attempts don't count."""
    asked = unit.job.spec.extension
    if asked is None or asked.interrupted is None or not unit.past:
        return 0
    ended = progress.ended_attempts(unit.past)
    return extension.interruptions(asked, [each.container.exit_code for each in ended])
