"""The same key, the same run: `submit(..., key="invoice-17")` twice submits once.

A key is an object in S3, written only where there is none (a conditional put), that names the job
before it is submitted. Who finds the object and no job's id in it looks the name up by ListJobs;
where there is no such job, and the one who wrote the object has had his time, it takes the object
over and submits under the same name. So a submitter may die at any moment, and others may come at
the same one.

A submitter that is stopped for longer than its time between naming and submitting, and goes on
after another took over, submits a second job; it finds out when it notes the id, ends its own, and
gives the other's. That job may have begun by then, as any job may run twice that is retried.

Two submitters of a map of several arrays may have submitted some each, and share others. The first
to have all of them writes them down in the run's `jobs/0`; the other ends those of its own that are
not among them.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from tidemill.sdk import bucket
from tidemill.sdk.client import Connection
from tidemill.sdk.error import TidemillError

DAY_S: Final = 86_400
TURN_S: Final = 10.0
"""How long a submitter may take from naming a job to having submitted it."""
KEEP_DAYS: Final = 1
OVERTAKEN: Final = "Another submitter of the same key was first."
_PAUSE_S: Final = 0.05
_NAME_MAX: Final = 100


class Submitted(Protocol):
    """A handle, as far as keys care."""

    id: str


H = TypeVar("H", bound=Submitted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a key's object says: under which name and URL the run is submitted, and its id then."""

    name: str
    run_url: str
    by: str
    """Tells one submitter's claim from another's, which would else be the same object."""
    job_id: str = ""

    def body(self) -> bytes:
        """As the object's content."""
        return json.dumps(asdict(self)).encode("utf-8")


def once(
    connection: Connection,
    url: str,
    new: Claim,
    submit: Callable[[Claim, bool], H],
    find: Callable[[str], str | None],
    known: Callable[[str], H],
) -> H:
    """The run that holds the key at `url`, submitted by this call if none does.

    `submit` is told under what to submit, and whether another may have begun to; `find` gives the
    id of the job of a name; `known` the handle of a job.
    """
    while True:
        tag = bucket.put_new(connection, url, new.body())
        if tag is not None:
            made = _note(connection, url, new, tag, submit(new, False))
        else:
            made = _of_other(connection, url, new, submit, find, known)
        if made is not None:
            return made
        time.sleep(_PAUSE_S)


def _of_other(
    connection: Connection,
    url: str,
    new: Claim,
    submit: Callable[[Claim, bool], H],
    find: Callable[[str], str | None],
    known: Callable[[str], H],
) -> H | None:
    """The run of whoever wrote the key's object; None to look again."""
    found = bucket.find(connection, url)
    if found is None:
        return None
    claim = Claim(**json.loads(found.body))
    if found.age_s >= DAY_S:
        tag = bucket.replace(connection, url, new.body(), found.tag)
        return None if tag is None else _note(connection, url, new, tag, submit(new, False))
    if claim.job_id:
        return known(claim.job_id)
    job_id = find(claim.name)
    if job_id is not None:
        made = _known_if_whole(job_id, known)
        if made is not None:
            bucket.replace(connection, url, replace(claim, job_id=job_id).body(), found.tag)
            return made
    if found.age_s < TURN_S:
        return None
    mine = replace(claim, by=new.by)
    tag = bucket.replace(connection, url, mine.body(), found.tag)
    return None if tag is None else _note(connection, url, mine, tag, submit(mine, True))


def _known_if_whole(job_id: str, known: Callable[[str], H]) -> H | None:
    try:
        return known(job_id)
    except TidemillError:
        return None  # a map of several arrays, of which not all are submitted yet


def _note(connection: Connection, url: str, claim: Claim, tag: str, made: H) -> H | None:
    """Write the job's id down; None when another has taken the key over, and submitted another."""
    noted = replace(claim, job_id=made.id).body()
    if bucket.replace(connection, url, noted, tag) is not None:
        return made
    while True:
        found = bucket.find(connection, url)
        if found is None:
            return made
        other = Claim(**json.loads(found.body))
        if other.name != claim.name or other.job_id == made.id:
            return made
        if other.job_id:
            break
        if found.age_s >= TURN_S and bucket.replace(connection, url, noted, found.tag) is not None:
            return made
        time.sleep(_PAUSE_S)
    connection.client("batch").terminate_job(jobId=made.id, reason=OVERTAKEN)
    return None


def digest(*parts: str) -> str:
    """A name for a key that tells it from every other."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def claim_of(name: str, digest: str, run_url: str) -> Claim:
    """A new claim: the job's name tells the function, and is used by no other job."""
    unique = f"{name[:_NAME_MAX]}-{digest[:8]}{os.urandom(4).hex()}"
    return Claim(name=unique, run_url=run_url, by=os.urandom(8).hex())


def find_job(connection: Connection, queue: str, name: str) -> str | None:
    """The id of the job of this name in a queue, or None; the newest where there are several."""
    filters = [{"name": "JOB_NAME", "values": [name]}]
    pages: Any = connection.client("batch").get_paginator("list_jobs")
    for page in pages.paginate(jobQueue=queue, filters=filters):
        for job in page["jobSummaryList"]:
            if job["jobName"] == name:
                return str(job["jobId"])
    return None
