"""How far a job says it is: one small object in S3 for each, written over and over.

`<run>progress/<index>` holds `{"done", "total", "note", "at_ms"}`. It is written at most once a
second, and once more at the end. A report is worth nothing once it is late: it is tried once, and
never fails or holds up the job that makes it.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from tidemill.sdk import bucket, context, courier
from tidemill.sdk.client import Connection

FOLDER: Final = "progress/"
EVERY_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
NOTE_LETTERS_MAX: Final = 200
KEPT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a job last said: `done` of `total`, in whatever unit it counts, and when."""

    done: float
    total: float | None
    note: str
    at_ms: int


_due_s = 0.0
_pause_s = EVERY_S
_latest: tuple[Any, Any, Any] | None = None
"""What was said and not written yet."""


def progress(done: float, total: float | None = None, note: str = "") -> None:
    """Say how far this job is: `done` of `total`, in any unit, and what it is doing.

    Shown in the bar, by `tidemill ps` and in `run.progress`. Call it as often as you like, it
    costs less than a microsecond: at most once a second something is written. Outside of a job it
    does nothing. Of a chunk, the last call of any of its items counts.
    """
    global _latest
    _latest = (done, total, note)
    if time.monotonic() >= _due_s:
        _write()


def _write() -> None:
    global _due_s, _latest, _pause_s
    attempt, said = context.attempt, _latest
    now_s = time.monotonic()
    _due_s = now_s + EVERY_S
    if attempt is None or said is None:
        return
    if _write not in context.at_end:
        context.at_end.append(_write)
    _latest = None
    body = json.dumps(asdict(_report(*said))).encode("ascii")
    if courier.put_once(f"{context.run_url(attempt.results)}{FOLDER}{attempt.index}", body):
        _pause_s = EVERY_S
    else:
        _pause_s = min(2 * _pause_s, PAUSE_MAX_S)
    _due_s = time.monotonic() + _pause_s


def _report(done: Any, total: Any, note: Any) -> Report:
    return Report(
        done=_number(done) or 0,
        total=_number(total),
        note=str(note)[:NOTE_LETTERS_MAX],
        at_ms=time.time_ns() // 1_000_000,
    )


def _number(given: Any) -> float | None:
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    if number != number or number in (float("inf"), float("-inf")):
        return None
    return int(number) if number.is_integer() else number


_read: OrderedDict[str, tuple[str, Report]] = OrderedDict()
"""Reports that were read, with the tags of their objects: only what has changed is read again."""


def read(connection: Connection, run_url: str, index: int | None = None) -> dict[int, Report]:
    """What the jobs of a run last said, by index; of child `index` alone if given.

    One listing, and a read of each report that has changed since this process last saw it.
    """
    folder = run_url + FOLDER
    if index is not None:
        report = _only(connection, f"{folder}{index}")
        return {} if report is None else {index: report}
    listed = dict(_listed(connection, folder))
    found = {place: _known(f"{folder}{place}", tag) for place, tag in listed.items()}
    changed = [place for place, report in found.items() if report is None]
    bodies = bucket.get_many(connection, [f"{folder}{place}" for place in changed])
    for place, body in zip(changed, bodies, strict=True):
        found[place] = report = Report(**json.loads(body))
        _keep(f"{folder}{place}", listed[place], report)
    return {place: report for place, report in sorted(found.items()) if report is not None}


def _only(connection: Connection, url: str) -> Report | None:
    s3 = connection.client("s3")
    try:
        return Report(**json.loads(bucket.get(connection, url)))
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return None


def _listed(connection: Connection, folder: str) -> Iterator[tuple[int, str]]:
    name, prefix = bucket.split(folder)
    pages = connection.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=name, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield int(item["Key"][len(prefix) :]), item["ETag"]


def _known(url: str, tag: str) -> Report | None:
    found = _read.get(url)
    return found[1] if found is not None and found[0] == tag else None


def _keep(url: str, tag: str, report: Report) -> None:
    _read[url] = (tag, report)
    while len(_read) > KEPT:
        _read.popitem(last=False)
