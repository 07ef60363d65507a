"""Jobs without a server: `with tm.eager():` calls each function where it is submitted.

For a debugger. What an exception does is not recorded but seen: it comes out of `submit` or `map`
with the frames that raised it. Values still travel as they would to a job, so that what could not
be sent is refused here too, and a job that changes its argument changes a copy. Nothing else of a
job is there: no process, no limits, no retries, no delay.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from tidemill.sdk import codec, payload
from tidemill.sdk.codec import Encoded
from tidemill.sdk.error import SubmitError
from tidemill.sdk.payload import Upstream
from tidemill.sdk.reference import reference_of
from tidemill.sdk.run import MapRun, Run
from tidemill.sdk.shape import Shape

if TYPE_CHECKING:
    from tidemill.sdk.function import Job

R = TypeVar("R")
_HANDLE: Final = "eager"

_printed: ContextVar[list[str] | None] = ContextVar("_printed", default=None)
_active: list[Eager] = []
_living: weakref.WeakValueDictionary[int, Eagerly] = weakref.WeakValueDictionary()
"""Every handle that somebody holds, by its identity: what one refers to while it is an argument."""


def active() -> Eager | None:
    """What takes submissions now in a server's place, if anything does."""
    return _active[-1] if _active else None


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Run every job of this process here and now for as long as the block lasts, in all threads.

    `submit` and `map` return when the functions have; an exception of theirs comes out at once.
    Handles made in the block stay good after it.
    """
    made = Eager()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = tees = _Tee(before[0]), _Tee(before[1])
    _active.append(made)
    try:
        yield
    finally:
        _active.remove(made)
        if sys.stdout is tees[0]:
            sys.stdout = before[0]
        if sys.stderr is tees[1]:
            sys.stderr = before[1]


class _Tee:
    """A standard stream that also keeps what a job prints; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, and keep it if a job wrote it."""
        printed = _printed.get()
        if printed is not None:
            printed.append(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Eagerly:
    """What the handles of calls that have been made answer alike."""

    def __init__(self) -> None:
        _living[id(self)] = self

    def result(self, timeout: float | None = None, progress: bool = False) -> Any:
        """What came of it, as it would come back from a job."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """SUCCEEDED: what fails gives no handle."""
        return "SUCCEEDED"

    @property
    def why(self) -> str:
        """Nothing: it has not waited and has not failed."""
        return ""

    def wait(self, timeout: float | None = None, progress: bool = False) -> str:
        """Its status, at once."""
        return self.status

    def cancel(self, reason: str = "") -> None:
        """Nothing: it has ended before anybody could end it."""

    def upstream(self) -> dict[str, Any]:
        """How another eager call refers to it."""
        return {_HANDLE: id(self)}

    def upstream_ids(self) -> list[str]:
        """Only a real submission asks: `SubmitError`, as no server knows of it."""
        raise SubmitError(
            f"{self!r} was run in this process by tm.eager(), and no server knows of it; give "
            f"its result() instead."
        )


class EagerRun(Eagerly, Run[R]):
    """A call that has been made, behind a `Run`'s face."""

    def __init__(
        self, job_id: str, name: str, shape: Shape, encoded: Encoded, printed: list[str]
    ) -> None:
        super().__init__()
        self.id = job_id
        self._reference = name
        self._shape = shape
        self._encoded = encoded
        self._printed = printed

    def result(self, timeout: float | None = None, progress: bool = False) -> R:
        """What the function returned, as it would come back from a job."""
        value: R = codec.decode(self._encoded, self._shape)
        return value

    def logs(self) -> Iterator[str]:
        """The lines that it printed through `sys.stdout` and `sys.stderr`."""
        yield from "".join(self._printed).splitlines()


class EagerMapRun(Eagerly, MapRun[R]):
    """A map whose calls have all been made, behind a `MapRun`'s face."""

    def __init__(
        self, job_id: str, name: str, runs: list[EagerRun[list[R]]], *, items: int, chunk: int
    ) -> None:
        super().__init__()
        self.id = job_id
        self._reference = name
        self._runs = runs
        self._items = items
        self._chunk = chunk

    def child(self, index: int) -> EagerRun[list[R]]:
        """The run of one chunk."""
        if not 0 <= index < self.children:
            raise IndexError(f"{self!r} has children 0 to {self.children - 1}, not {index}")
        return self._runs[index]

    def result(self, timeout: float | None = None, progress: bool = False) -> list[R]:
        """What the function returned for each item, in the items' order."""
        return [value for run in self._runs for value in run.result()]

    def logs(self) -> Iterator[str]:
        """The lines that its calls printed, child by child."""
        for run in self._runs:
            yield from run.logs()


class Eager:
    """Takes submissions by making the calls; knows the handles of all that it has taken."""

    def __init__(self) -> None:
        self._handles: dict[str, EagerRun[Any] | EagerMapRun[Any]] = {}

    def handle(self, job_id: str) -> EagerRun[Any] | EagerMapRun[Any] | None:
        """The handle of a run that this has made, or of one child of a map."""
        whole, _, index = job_id.partition(":")
        found = self._handles.get(whole)
        if isinstance(found, EagerMapRun) and index.isdecimal():
            return found.child(int(index))
        return found

    def submit(
        self, job: Job[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> EagerRun[Any]:
        """Make the call with what a job would receive.

        Raises what `submit` would raise, and what the function raises.
        """
        call = job.parameters.bind(args, kwargs)
        name = reference_of(job.function, job)
        for value in (*call.args, *call.kwargs.values()):
            _refuse_stranger(value)
        packed = payload.pack(job.parameters, call)
        received, named = payload.unpack(job.parameters, packed, _receive)
        printed: list[str] = []
        with _keeping(printed):
            value = job.function(*received, **named)
        encoded = job.encode_result(value, job.result_shape)
        run = EagerRun[Any](_new_id(), name, job.result_shape, encoded, printed)
        self._handles[run.id] = run
        return run

    def map(
        self, job: Job[..., Any], items: Iterable[Any], chunk: int | None = None
    ) -> EagerMapRun[Any]:
        """Make a call for each item, in order.

        The first exception of a call comes out, with a note that says for which item.
        """
        name, job_id = reference_of(job.function, job), _new_id()
        chunks, size = _chunks(job, items, chunk)
        runs = list[EagerRun[Any]]()
        for index, received in enumerate(chunks):
            printed: list[str] = []
            with _keeping(printed):
                values = [
                    _call(job, item, place) for place, item in enumerate(received, index * size)
                ]
            encoded = job.encode_result(values, job.chunk_shape)
            child_id = job_id if len(chunks) == 1 else f"{job_id}:{index}"
            runs.append(EagerRun(child_id, name, job.chunk_shape, encoded, printed))
        count = sum(map(len, chunks))
        run = EagerMapRun[Any](job_id if runs else "", name, runs, items=count, chunk=size)
        self._handles[job_id] = run
        return run


def _chunks(
    job: Job[..., Any], items: Iterable[Any], chunk: int | None
) -> tuple[list[list[Any]], int]:
    """What each child receives, and of how many items a child is."""
    if isinstance(items, MapRun):
        return _chunks_along(items, chunk)
    every, size, shape = list(items), chunk or 1, job.item_shape
    if any(isinstance(item, Upstream) for item in every):
        raise SubmitError(
            f"{job.parameters.function_name}.map takes values, or one whole map, not a list of "
            f"runs; use submit() for each."
        )
    parts = (every[start : start + size] for start in range(0, len(every), size))
    encoded = [job.parameters.encode(part, 0, shape) for part in parts]
    return [codec.decode(part, shape) for part in encoded], size


def _chunks_along(upstream: MapRun[Any], chunk: int | None) -> tuple[list[list[Any]], int]:
    _refuse_stranger(upstream)
    _, size = upstream.grain
    if chunk not in (None, size):
        raise SubmitError(
            f"A map over a map keeps its chunks, which are of {size}; leave chunk= out."
        )
    return [upstream.child(index).result() for index in range(upstream.children)], size


def _call(job: Job[..., Any], item: Any, place: int) -> Any:
    try:
        return job.function(item)
    except BaseException as error:
        error.add_note(f"Raised for item {place}.")
        raise


def _refuse_stranger(value: Any) -> None:
    """Refuse the handle of what a server runs: nothing here would wait for it."""
    if isinstance(value, Upstream) and not isinstance(value, Eagerly):
        raise SubmitError(
            f"{value!r} was submitted to a server, and inside tm.eager() nothing waits for one; "
            f"give its result() instead."
        )


def _receive(upstream: dict[str, Any]) -> Any:
    return _living[upstream[_HANDLE]].result()


def _new_id() -> str:
    import uuid

    return str(uuid.uuid4())


@contextlib.contextmanager
def _keeping(printed: list[str]) -> Iterator[None]:
    token = _printed.set(printed)
    try:
        yield
    finally:
        _printed.reset(token)
