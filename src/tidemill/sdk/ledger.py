"""Which jobs a run is made of: its first ones, and those that did again what had failed.

A map beyond the server's limit is several arrays, and what has failed is done again by new jobs.
Both are told in objects under the run's URL, `jobs/0` for the first jobs where there are several,
`jobs/1`, `jobs/2` for each time that something was retried, so that every process that has the
run's id knows the same. A run that is one job, and was never retried, has none of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.sdk import bucket, index_set, watch
from tidemill.sdk.client import Connection
from tidemill.sdk.error import TidemillError
from tidemill.sdk.index_set import IndexSet
from tidemill.sdk.watch import Sight

FOLDER: Final = "jobs/"
DEPENDENTS: Final = "dependents/"
CLAIM_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """One job, and the children of the run that it does: an array of as many, or a plain job."""

    job_id: str
    indices: IndexSet

    def child_id(self, index: int) -> str | None:
        """The id of the child's own job, or None where it is none of this part's."""
        place = self.indices.place(index)
        if place is None:
            return None
        return self.job_id if len(self.indices) == 1 else f"{self.job_id}:{place}"


class Ledger:
    """The jobs of one run, by generation: what a later one does counts for its children."""

    def __init__(
        self, connection: Connection, run_url: str, generations: Sequence[Sequence[Part]]
    ) -> None:
        self.connection = connection
        self.run_url = run_url
        self._by_number = {number: list(parts) for number, parts in enumerate(generations)}
        """The jobs of each generation whose jobs are known."""
        self._ended: dict[str, Sight] = {}
        """Jobs that have ended, as they were last seen: nothing more changes."""

    @property
    def _generations(self) -> list[list[Part]]:
        return [self._by_number[number] for number in sorted(self._by_number)]

    @property
    def first(self) -> list[Part]:
        """The jobs that it was submitted as."""
        return self._by_number[0]

    @property
    def is_retried(self) -> bool:
        """Whether any of it was done again."""
        return len(self._by_number) > 1

    @property
    def size(self) -> int:
        """How many children the run has."""
        return sum(len(part.indices) for part in self.first)

    @property
    def parts(self) -> list[Part]:
        """All jobs, the oldest first."""
        return [part for parts in self._generations for part in parts]

    def current(self) -> list[Part]:
        """The jobs of which nothing was done again since: what still counts whole."""
        later: list[IndexSet] = []
        found: list[Part] = []
        for parts in reversed(self._generations):
            found += [part for part in parts if not any(map(part.indices.touches, later))]
            later += [part.indices for part in parts]
        return found[::-1]

    def job_id(self, index: int) -> str:
        """The job that does, or last did, this child."""
        for part in reversed(self.parts):
            found = part.child_id(index)
            if found is not None:
                return found
        raise IndexError(index)

    def job_ids(self, index: int) -> list[str]:
        """All the jobs that have done this child, the oldest first."""
        return [found for part in self.parts if (found := part.child_id(index)) is not None]

    def replaced(self, part: Part) -> set[int]:
        """Those of the part's children that a later job has done again."""
        place = next(n for n, parts in enumerate(self._generations) if part in parts)
        later = (other for parts in self._generations[place + 1 :] for other in parts)
        return {index for other in later for index in other.indices if index in part.indices}

    def look(self) -> Sight:
        """All of it as one sight; `TidemillError` when the service does not know a job any more."""
        ids = [part.job_id for part in self.parts]
        asked = [job_id for job_id in ids if job_id not in self._ended]
        seen = dict(zip(asked, watch.look_at(self.connection, asked), strict=True)) | self._ended
        self._ended = {job_id: sight for job_id, sight in seen.items() if sight.has_ended}
        return seen[ids[0]] if len(ids) == 1 else self._merged([seen[job_id] for job_id in ids])

    def sight(self, part: Part) -> Sight:
        """One of the jobs by itself."""
        found = self._ended.get(part.job_id)
        return found or watch.look(self.connection, part.job_id)

    def _merged(self, sights: list[Sight]) -> Sight:
        again = sum(len(part.indices) for part in self.parts[len(self.first) :])
        # What is done again had failed: it counts by its newest job alone.
        ended = sum(sight.ended for sight in sights) - again
        failed = sum(sight.failed for sight in sights) - again
        newest = {part.job_id for part in self.current()}
        waiting = [sight for sight in sights if not sight.has_ended]
        bad = [sight for sight in sights if sight.status == "FAILED" and _id(sight) in newest]
        if waiting:
            shown = max(waiting, key=lambda sight: watch.ORDER.index(sight.status))
            status = shown.status
        else:
            shown = (bad or sights)[0]
            status = "FAILED" if failed > 0 or bad else "SUCCEEDED"
        return Sight(
            status=status,
            why=shown.why if status != "SUCCEEDED" else "",
            size=self.size,
            ended=ended,
            failed=failed,
            detail=shown.detail,
        )

    def refresh(self) -> bool:
        """Read of retries that other processes have made since; whether there are any."""
        found = {
            number: parts
            for number in self._numbers()
            if number not in self._by_number
            and (parts := _read(self.connection, self._url(number)))
        }
        self._by_number |= found
        return bool(found)

    def _numbers(self) -> list[int]:
        """Of all generations that were ever claimed, by whomever."""
        return [int(name) for name in bucket.names(self.connection, self.run_url + FOLDER)]

    def claim(self) -> int:
        """Take the next generation's number for this process.

        `TidemillError` while another is between taking one and noting its jobs; one that died
        there is waited for no longer than `CLAIM_S`.
        """
        self.note_first()
        numbers = self._numbers()
        number = max(numbers) + 1
        is_taken = any(self._is_others(each) for each in numbers if each not in self._by_number)
        if is_taken or bucket.put_new(self.connection, self._url(number), _content(())) is None:
            raise TidemillError(
                f"The run {self.first[0].job_id} is being retried elsewhere at this moment; look "
                f"at it again before you retry it."
            )
        return number

    def _is_others(self, number: int) -> bool:
        """Whether a generation that is not known here counts: it has jobs, or soon will."""
        found = bucket.find(self.connection, self._url(number))
        return found is not None and (found.body != _content(()) or found.age_s < CLAIM_S)

    def add(self, number: int, parts: Iterable[Part]) -> None:
        """Note the jobs of the generation that was claimed."""
        made = list(parts)
        bucket.put(self.connection, self._url(number), _content(made))
        self._by_number[number] = made

    def note_first(self) -> list[Part]:
        """Write down the first jobs, so that they are found from the id of any other.

        Where another submitter of the same run has, its jobs are the run's; those of this one's
        that are not among them are returned.
        """
        if bucket.put_new(self.connection, self._url(0), _content(self.first)) is not None:
            return []
        noted = _read(self.connection, self._url(0))
        ids = {part.job_id for part in noted}
        lost = [part for part in self.first if part.job_id not in ids]
        self._by_number[0] = noted
        return lost

    def note_dependent(self, job_id: str) -> None:
        """Write down that another job waits for this run."""
        bucket.put(self.connection, f"{self.run_url}{DEPENDENTS}{job_id}", b"")

    def dependents(self) -> list[str]:
        """The jobs that were submitted to wait for this run."""
        return list(bucket.names(self.connection, self.run_url + DEPENDENTS))

    def _url(self, number: int) -> str:
        return f"{self.run_url}{FOLDER}{number}"


def shards_of(connection: Connection, run_url: str) -> list[Part]:
    """The first jobs of a run that are several; `TidemillError` when that was never noted."""
    with contextlib.suppress(connection.client("s3").exceptions.NoSuchKey):
        return _read(connection, f"{run_url}{FOLDER}0")
    raise TidemillError(
        f"The map under {run_url} was never wholly submitted, or what was kept of it has expired; "
        f"submit it again."
    )


def _id(sight: Sight) -> Any:
    return sight.detail.get("jobId")


def _content(parts: Iterable[Part]) -> bytes:
    return json.dumps([[part.job_id, part.indices.text()] for part in parts]).encode("ascii")


def _read(connection: Connection, url: str) -> list[Part]:
    content = json.loads(bucket.get(connection, url))
    return [Part(job_id, index_set.parse(text)) for job_id, text in content]
