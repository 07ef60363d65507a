"""Handles of what was submitted: ask how it goes, wait for it, take its result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, NoReturn, TypeVar, overload

from tidemill.sdk import failure as failures
from tidemill.sdk import progress as progresses
from tidemill.sdk import result as results
from tidemill.sdk import watch
from tidemill.sdk.attempt import Attempt, attempts_of
from tidemill.sdk.codec import Encoded, decode
from tidemill.sdk.error import JobFailed
from tidemill.sdk.failure import Failure, failure_of
from tidemill.sdk.handle import CANCELLED, Handle, OnProgress, job_of
from tidemill.sdk.ledger import Ledger
from tidemill.sdk.log import follow, lines_of
from tidemill.sdk.progress import Progress
from tidemill.sdk.shape import Shape
from tidemill.sdk.watch import Sight

R = TypeVar("R")


class Run(Handle[R]):
    """One call that is a job, or one item of a map."""

    def __init__(
        self,
        ledger: Ledger,
        reference: str,
        shape: Shape | None,
        *,
        child: int | None = None,
        place: int | None = None,
        index: int = 0,
    ) -> None:
        """`child` is given for one of a map's: `shape` is then its chunk's.

        `place` is which item of the chunk, None for all of it; `index` which of the map.
        """
        self._index = child or 0
        self._is_chunk = child is not None
        self._place = place
        self._found: Encoded | None = None
        super().__init__(ledger, reference, shape, ledger.job_id(self._index))
        self.index = index
        """Which item of its map it is, from 0 on; 0 for a call by itself."""

    def _glance(self) -> Sight:
        if self._is_whole:
            return super()._glance()
        return watch.look(self._connection, self._ledger.job_id(self._index))

    @property
    def _is_whole(self) -> bool:
        """Whether the run is all that its jobs do."""
        return not self._is_chunk or self._ledger.size == 1

    def _current_ids(self) -> list[str]:
        return [self._ledger.job_id(self._index)]

    @property
    def attempts(self) -> list[Attempt]:
        """Each time that it was tried so far, the oldest first."""
        self._look()  # which may learn of retries
        ids = self._ledger.job_ids(self._index)
        return [
            attempt
            for sight in watch.look_at(self._connection, ids)
            for attempt in attempts_of(sight.detail)
        ]

    def _progress(self, sight: Sight) -> Progress:
        return progresses.of_one(self._connection, self._ledger.run_url, self._index, sight)

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> R:
        """What the function returned, once the job has ended.

        An exception of the function is raised again, with the job's traceback as its cause;
        `JobFailed` says why there is neither. `TimeoutError` after `timeout` seconds.
        """
        if self._found is not None:
            return self._value(self._found)
        sight = self._wait(timeout, progress, on_progress)
        found = results.collect(self._connection, self._url, self._index).get(self._index)
        if found is not None and found.kind == results.EXCEPTION:
            raise self._verdict(found)
        if found is None or sight.status != "SUCCEEDED":
            raise failure_of(self._connection, sight, self._told(), self.id)
        self._found = found
        return self._value(found)

    def __await__(self) -> Generator[Any, None, R]:
        """Its result, while the event loop goes on with other work; raises what `result` does."""
        return self._awaited().__await__()

    def _value(self, found: Encoded) -> R:
        value = self._decode(found)
        result: R = value if self._place is None else value[self._place]
        return result

    def _verdict(self, found: Encoded) -> Exception:
        told = results.exception_of(found)
        if self._place is None or told.item is None or told.item == self._place:
            return told.error
        error = JobFailed(
            f"{self._told()} gave nothing: item {self.index - self._place + told.item} of the "
            f"same chunk raised {type(told.error).__name__}: {told.error}.",
            job_id=self.id,
        )
        error.__cause__ = told.error
        return error

    def exception(self, timeout: float | None = None) -> Exception | None:
        """What `result` raises, or None where it returns, once the job has ended.

        `TimeoutError` after `timeout` seconds.
        """
        self._wait(timeout, False)
        try:
            self.result()
        except Exception as error:  # noqa: BLE001 - whatever the function raises
            return error
        return None

    def logs(self, follow: bool = False) -> Iterator[str]:
        """The lines that the job printed so far, of all its attempts in order.

        With `follow`, also those to come, until it has ended.
        """
        return _follow(self, follow)

    def upstream(self) -> dict[str, Any]:
        """How another job refers to this one's result."""
        place = {"index": self._index, "is_chunk": self._is_chunk}
        item = {} if self._place is None else {"item": self._place}
        return {"results": self._url, "of": self._reference, **place, **item}

    def upstream_ids(self) -> list[str]:
        """The jobs that another one waits for to have this result."""
        return self._current_ids()

    def _find_shape(self) -> Shape:
        job = job_of(self._reference)
        shape: Shape = job.chunk_shape if self._is_chunk else job.result_shape
        return shape


class MapRun(Handle[R]):
    """A map: one array job, a child for each chunk of items. `len()` counts the items.

    A map of more children than an array may have is several arrays, and looks like one; its id is
    the first one's. Iterating gives the results in the items' order, each as soon as it is there.
    """

    def __init__(
        self, ledger: Ledger, reference: str, shape: Shape | None, *, items: int, chunk: int
    ) -> None:
        """`shape` is a chunk's results'. A map of nothing has no job and no id."""
        super().__init__(ledger, reference, shape, ledger.first[0].job_id if items else "")
        self._items = items
        self._chunk = chunk

    def __len__(self) -> int:
        return self._items

    def __bool__(self) -> bool:
        return True

    @property
    def children(self) -> int:
        """How many jobs the map is."""
        return -(-self._items // self._chunk)

    def child(self, index: int) -> Run[list[R]]:
        """The job of one chunk; its result is the list of its items' results."""
        if not 0 <= index < self.children:
            raise IndexError(f"{self!r} has children 0 to {self.children - 1}, not {index}")
        return Run(
            self._ledger, self._reference, self._shape, child=index, index=index * self._chunk
        )

    @overload
    def __getitem__(self, index: int) -> Run[R]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run[R]]: ...
    def __getitem__(self, index: int | slice) -> Run[R] | list[Run[R]]:
        """The run of one item. What an item's chunk does, it does: it ends when all of it has."""
        if isinstance(index, slice):
            return [self._item(each) for each in range(*index.indices(self._items))]
        place = index + self._items if index < 0 else index
        if not 0 <= place < self._items:
            raise IndexError(f"{self!r} has items 0 to {self._items - 1}, not {index}")
        return self._item(place)

    def _item(self, index: int) -> Run[R]:
        child, place = divmod(index, self._chunk)
        return Run(
            self._ledger, self._reference, self._shape, child=child, place=place, index=index
        )

    def __iter__(self) -> Iterator[R]:
        """The results in the items' order, each as soon as it and those before it are there.

        Raises what the item raised at the first that failed.
        """
        ready: dict[int, Run[R]] = {}
        wanted = 0
        for run in self.as_completed():
            ready[run.index] = run
            while wanted in ready:
                item = ready.pop(wanted)
                if item.exception() is not None:
                    self.child(wanted // self._chunk).result()  # raises what its chunk raised
                yield item.result()
                wanted += 1

    def as_completed(self, timeout: float | None = None) -> Iterator[Run[R]]:
        """The items' runs in the order in which they end: `run.index`, `run.result()`.

        Each has ended, so that its `result()` returns or raises at once. `TimeoutError` when not
        all have ended after `timeout` seconds.
        """
        from tidemill.sdk import completion

        return completion.of_map(self, timeout)

    def _items_of(self, child: int) -> range:
        first = child * self._chunk
        return range(first, min(first + self._chunk, self._items))

    def _ended(self, child: int, found: Encoded | None) -> Iterator[Run[R]]:
        """The runs of a child's items, which has ended; `found` is its result, if it has one."""
        for index in self._items_of(child):
            run = self._item(index)
            if found is not None and found.kind != results.EXCEPTION:
                run._found = found
            yield run

    def _look(self) -> Sight:
        return super()._look() if self._items else _NOTHING

    def _wait(
        self, timeout_s: float | None, progress: bool, on_progress: OnProgress | None = None
    ) -> Sight:
        return super()._wait(timeout_s, progress, on_progress) if self._items else _NOTHING

    def _progress(self, sight: Sight) -> Progress:
        return progresses.of_map(
            self._connection, self._ledger.run_url, self._items, self._chunk, sight
        )

    def cancel(self, reason: str = CANCELLED) -> None:
        """End all of it, in whatever state each child is."""
        if self._items:
            super().cancel(reason)

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> list[R]:
        """What the function returned for each item, in the items' order, once all have ended.

        When some failed, the first exception is raised again, with a note that says how many.
        """
        sight = self._wait(timeout, progress, on_progress)
        if not self._items:
            return []
        found = results.collect(self._connection, self._url)
        if sight.status != "SUCCEEDED":
            self._raise_first(found, sight)
        self._shape = self._shape or self._find_shape()
        return flatten(found, self.children, self._shape, self._told())

    def __await__(self) -> Generator[Any, None, list[R]]:
        """Its result, while the event loop goes on with other work; raises what `result` does."""
        return self._awaited().__await__()

    def logs(self, follow: bool = False) -> Iterator[str]:
        """The lines that the jobs printed so far, child by child; `follow` waits for each."""
        for index in range(self.children):
            yield from self.child(index).logs(follow)

    def failures(self) -> list[Failure]:
        """What has failed so far: each child's items, what was raised, and the child's run.

        In the children's order; empty when nothing has failed.
        """
        if not self._items:
            return []
        self._look()
        found = failures.errors(self._ledger, self._told())
        names = results.listed(self._connection, self._url)
        bad = [names[child] for child in found if child in names]
        raised = {
            child: results.exception_of(encoded)
            for child, encoded in results.load(self._connection, self._url, bad).items()
            if encoded.kind == results.EXCEPTION
        }
        return [
            Failure(
                index=self._items_of(child)[(raised[child].item or 0) if child in raised else 0],
                items=self._items_of(child),
                error=raised[child].error if child in raised else error,
                run=self.child(child),
            )
            for child, error in found.items()
        ]

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
            raise failure_of(self._connection, sight, self._told(), self.id)
        child = self.child(missing)
        error = failure_of(self._connection, child._look(), child._told(), child.id)
        error.add_note(others)
        raise error

    def upstream(self) -> dict[str, Any]:
        """How another job refers to this map's results."""
        return {"results": self._url, "of": self._reference, "children": self.children}

    def upstream_ids(self) -> list[str]:
        """The jobs that another one waits for to have these results."""
        return self._current_ids() if self._items else []

    @property
    def grain(self) -> tuple[int, int]:
        """How many items there are, and how many of them a child takes."""
        return self._items, self._chunk

    def _find_shape(self) -> Shape:
        shape: Shape = job_of(self._reference).chunk_shape
        return shape


_NOTHING: Final = Sight(status="SUCCEEDED", why="", size=0, ended=0, failed=0, detail={})


def _follow(run: Run[Any], is_followed: bool) -> Iterator[str]:
    look: Callable[[], Sight] = run._look
    if not is_followed:
        return lines_of(run._connection, look().detail)
    return follow(run._connection, look)


def flatten(found: dict[int, Encoded], children: int, shape: Shape, told: str) -> list[Any]:
    """All chunks' results as one list; each of `children` must be there."""
    values: list[Any] = []
    for index in range(children):
        if index not in found:
            raise JobFailed(
                f"The result of child {index} of {told} is not there any more; results are "
                f"kept in S3 for the days of keep=, or somebody has deleted it.",
                job_id="",
            )
        values.extend(decode(found[index], shape))
    return values
