"""Handles of what was submitted: ask how it goes, wait for it, take its result.

A handle holds only names: the job's id and where its results lie. Everything else is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Generic, NoReturn, TypeVar

from tidemill.sdk import result as results
from tidemill.sdk import watch
from tidemill.sdk.client import Connection
from tidemill.sdk.codec import Encoded, decode
from tidemill.sdk.error import JobFailed
from tidemill.sdk.log import lines_of
from tidemill.sdk.progress import Bar
from tidemill.sdk.shape import Shape
from tidemill.sdk.watch import Sight

R = TypeVar("R")
CANCELLED: Final = "Cancelled by its submitter."


class _Handle(Generic[R]):
    """What a run of one call and a map have in common."""

    def __init__(
        self, connection: Connection, job_id: str, url: str, reference: str, shape: Shape
    ) -> None:
        self._connection = connection
        self._url = url
        self._reference = reference
        self._shape = shape
        self.id = job_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} of {self._reference}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is a handle, not a value; give it to submit() as an argument by itself, "
            f"or take its result() first"
        )

    def _look(self) -> Sight:
        return watch.look(self._connection, self.id)

    @property
    def status(self) -> str:
        """AWS's word for the state that it is in now."""
        return self._look().status

    @property
    def why(self) -> str:
        """What it waits for, or why it ended as it did; may be empty."""
        return self._look().why

    def cancel(self, reason: str = CANCELLED) -> None:
        """End it, in whatever state it is: what runs gets SIGTERM, 30 s later SIGKILL."""
        self._connection.client("batch").terminate_job(jobId=self.id, reason=reason)

    def wait(self, timeout: float | None = None, progress: bool = False) -> str:
        """Return its status once it has ended; `TimeoutError` after `timeout` seconds."""
        return self._wait(timeout, progress).status

    def _wait(self, timeout_s: float | None, progress: bool) -> Sight:
        if progress:
            with Bar(self._reference.rpartition(":")[2]) as bar:
                sight = watch.until_end(self._connection, self._look, timeout_s, bar.see)
        else:
            sight = watch.until_end(self._connection, self._look, timeout_s)
        if not sight.has_ended:
            told = f": {sight.why}" if sight.why else ""
            raise TimeoutError(
                f"{self._told()} is still {sight.status} after {timeout_s:g} s{told}"
            )
        return sight

    def _told(self) -> str:
        return f"{self._reference.rpartition(':')[2]} (job {self.id})"

    def _failure(self, sight: Sight) -> JobFailed:
        container = sight.detail.get("container") or {}
        told = [sight.why or "it gave no reason", container.get("reason", "")]
        if "exitCode" in container:
            told.append(f"exit code {container['exitCode']}")
        reason = "; ".join(part.rstrip(".") for part in told if part)
        return JobFailed(f"{self._told()} failed: {reason}.", job_id=self.id)


class Run(_Handle[R]):
    """One call that is a job, or one child of a map."""

    def __init__(
        self,
        connection: Connection,
        job_id: str,
        url: str,
        reference: str,
        shape: Shape,
        chunk_index: int | None = None,
    ) -> None:
        """`chunk_index` is given for a child of a map: `shape` is then its chunk's."""
        super().__init__(connection, job_id, url, reference, shape)
        self._index = chunk_index or 0
        self._is_chunk = chunk_index is not None

    def result(self, timeout: float | None = None, progress: bool = False) -> R:
        """What the function returned, once the job has ended.

        An exception of the function is raised again, with the job's traceback as its cause;
        `JobFailed` says why there is neither. `TimeoutError` after `timeout` seconds.
        """
        sight = self._wait(timeout, progress)
        found = results.collect(self._connection, self._url, self._index).get(self._index)
        if found is None:
            raise self._failure(sight)
        if found.kind == results.EXCEPTION:
            raise results.exception_of(found).error
        if sight.status != "SUCCEEDED":
            raise self._failure(sight)
        value: R = decode(found, self._shape)
        return value

    def logs(self) -> Iterator[str]:
        """The lines that the job printed so far, of all its attempts in order."""
        return lines_of(self._connection, self._look().detail)

    def upstream(self) -> dict[str, Any]:
        """How another job refers to this one's result."""
        place = {"index": self._index, "is_chunk": self._is_chunk}
        return {"results": self._url, "of": self._reference, **place}

    def upstream_ids(self) -> list[str]:
        """The jobs that another one waits for to have this result."""
        return [self.id]


class MapRun(_Handle[R]):
    """A map: one array job, a child for each chunk of items. `len()` counts the items."""

    def __init__(
        self,
        connection: Connection,
        job_id: str,
        url: str,
        reference: str,
        shape: Shape,
        *,
        items: int,
        chunk: int,
    ) -> None:
        """`shape` is a chunk's results'. A map of nothing has no job and no id."""
        super().__init__(connection, job_id, url, reference, shape)
        self._items = items
        self._chunk = chunk

    def __len__(self) -> int:
        return self._items

    @property
    def children(self) -> int:
        """How many jobs the map is."""
        return -(-self._items // self._chunk)

    def child(self, index: int) -> Run[list[R]]:
        """The job of one chunk."""
        if not 0 <= index < self.children:
            raise IndexError(f"{self!r} has children 0 to {self.children - 1}, not {index}")
        job_id = self.id if self.children == 1 else f"{self.id}:{index}"
        return Run(self._connection, job_id, self._url, self._reference, self._shape, index)

    def _look(self) -> Sight:
        return super()._look() if self._items else _NOTHING

    def _wait(self, timeout_s: float | None, progress: bool) -> Sight:
        return super()._wait(timeout_s, progress) if self._items else _NOTHING

    def cancel(self, reason: str = CANCELLED) -> None:
        """End all of it, in whatever state each child is."""
        if self._items:
            super().cancel(reason)

    def result(self, timeout: float | None = None, progress: bool = False) -> list[R]:
        """What the function returned for each item, in the items' order, once all have ended.

        When some failed, the first exception is raised again, with a note that says how many.
        """
        sight = self._wait(timeout, progress)
        if not self._items:
            return []
        found = results.collect(self._connection, self._url)
        if sight.status != "SUCCEEDED":
            self._raise_first(found, sight)
        return flatten(found, self.children, self._shape, self._told())

    def logs(self) -> Iterator[str]:
        """The lines that the jobs printed so far, child by child."""
        for index in range(self.children):
            yield from self.child(index).logs()

    def _raise_first(self, found: dict[int, Encoded], sight: Sight) -> NoReturn:
        others = f"{sight.failed} of {sight.size} children of {self._told()} failed."
        for index, result in found.items():
            if result.kind == results.EXCEPTION:
                told = results.exception_of(result)
                item = index * self._chunk + (told.item or 0)
                told.error.add_note(f"Raised for item {item}. {others}")
                raise told.error
        missing = next((index for index in range(self.children) if index not in found), None)
        if missing is None or self.children == 1 or not sight.ended:
            raise self._failure(sight)
        child = self.child(missing)
        error = child._failure(child._look())
        error.add_note(others)
        raise error

    def upstream(self) -> dict[str, Any]:
        """How another job refers to this map's results."""
        return {"results": self._url, "of": self._reference, "children": self.children}

    def upstream_ids(self) -> list[str]:
        """The jobs that another one waits for to have these results."""
        return [self.id] if self._items else []

    @property
    def grain(self) -> tuple[int, int]:
        """How many items there are, and how many of them a child takes."""
        return self._items, self._chunk


_NOTHING: Final = Sight(status="SUCCEEDED", why="", size=0, ended=0, failed=0, detail={})


def flatten(found: dict[int, Encoded], children: int, shape: Shape, told: str) -> list[Any]:
    """All chunks' results as one list; each of `children` must be there."""
    values: list[Any] = []
    for index in range(children):
        if index not in found:
            raise JobFailed(
                f"The result of child {index} of {told} is not there any more; results are "
                f"kept in S3, where somebody may have deleted it.",
                job_id="",
            )
        values.extend(decode(found[index], shape))
    return values
