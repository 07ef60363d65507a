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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TextIO, TypeVar

from tidemill.sdk import codec, payload
from tidemill.sdk.attempt import Attempt
from tidemill.sdk.codec import Encoded
from tidemill.sdk.error import SubmitError
from tidemill.sdk.handle import OnProgress
from tidemill.sdk.payload import Upstream
from tidemill.sdk.progress import Progress
from tidemill.sdk.reference import reference_of
from tidemill.sdk.run import MapRun, Run
from tidemill.sdk.shape import Shape
from tidemill.sdk.watch import Sight

if TYPE_CHECKING:
    import inspect

    from tidemill.sdk.failure import Failure
    from tidemill.sdk.function import Job

R = TypeVar("R")
_HANDLE: Final = "eager"
_OF_SERVERS: Final = ("_connection", "_ledger", "_url")
"""What a handle knows of where it was submitted."""

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

    _attempts: list[Attempt]

    def __init__(self) -> None:
        _living[id(self)] = self

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Any:
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

    def wait(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Its status, at once; `on_progress` is called with how far it is, which is the end."""
        if on_progress is not None:
            on_progress(self.progress)
        return self.status

    @property
    def progress(self) -> Progress:
        """How far it is: at its end."""
        raise NotImplementedError

    async def _awaited(self) -> Any:
        return self.result()

    def _current_ids(self) -> list[str]:
        return []  # no server knows of it

    def _look(self) -> Sight:
        return Sight(status=self.status, why="", size=1, ended=1, failed=0, detail={})

    def cancel(self, reason: str = "") -> None:
        """Nothing: it has ended before anybody could end it."""

    def retry(self) -> Self:
        """Itself: nothing has failed."""
        return self

    def upstream(self) -> dict[str, Any]:
        """How another eager call refers to it."""
        return {_HANDLE: id(self)}

    def upstream_ids(self) -> list[str]:
        """Only a real submission asks: `SubmitError`, as no server knows of it."""
        raise self._refusal()

    def __getattr__(self, name: str) -> Any:
        if name in _OF_SERVERS:
            raise self._refusal()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _refusal(self) -> SubmitError:
        return SubmitError(
            f"{self!r} was run in this process by tm.eager(), and no server knows of it; give "
            f"its result() instead."
        )


class EagerRun(Eagerly, Run[R]):
    """A call that has been made, behind a `Run`'s face."""

    def __init__(
        self,
        job_id: str,
        name: str,
        shape: Shape,
        made: Made,
        *,
        index: int = 0,
        place: int | None = None,
    ) -> None:
        """`place` is which item of the chunk that `made` holds; None for all that it holds."""
        super().__init__()
        self.id = job_id
        self.index = index
        self._reference = name
        self._shape = shape
        self._made = made
        self._place = place

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> R:
        """What the function returned, as it would come back from a job."""
        self.wait(on_progress=on_progress)
        value = self._decode(self._made.encoded)
        found: R = value if self._place is None else value[self._place]
        return found

    def exception(self, timeout: float | None = None) -> None:
        """None: it has come out of `submit` instead."""

    @property
    def attempts(self) -> list[Attempt]:
        """The one time that it was tried."""
        return [self._made.attempt]

    @property
    def progress(self) -> Progress:
        """How far it is: at its end."""
        return _progress(1)

    def logs(self, follow: bool = False) -> Iterator[str]:
        """The lines that it printed through `sys.stdout` and `sys.stderr`."""
        yield from "".join(self._made.printed).splitlines()


class EagerMapRun(Eagerly, MapRun[R]):
    """A map whose calls have all been made, behind a `MapRun`'s face."""

    def __init__(
        self, job_id: str, name: str, shape: Shape, chunks: list[Made], *, items: int, chunk: int
    ) -> None:
        super().__init__()
        self.id = job_id if items else ""
        self._reference = name
        self._shape: Shape = shape
        self._chunks = chunks
        self._items = items
        self._chunk = chunk

    def child(self, index: int) -> EagerRun[list[R]]:
        """The run of one chunk."""
        if not 0 <= index < self.children:
            raise IndexError(f"{self!r} has children 0 to {self.children - 1}, not {index}")
        return self._run(index, index * self._chunk, None)

    def _item(self, index: int) -> EagerRun[R]:
        child, place = divmod(index, self._chunk)
        return self._run(child, index, place)

    def _run(self, child: int, index: int, place: int | None) -> EagerRun[Any]:
        job_id = self.id if self.children == 1 else f"{self.id}:{child}"
        made = self._chunks[child]
        return EagerRun(job_id, self._reference, self._shape, made, index=index, place=place)

    def as_completed(self, timeout: float | None = None) -> Iterator[Run[R]]:
        """The items' runs, in the items' order: so they have ended."""
        return iter(self[:])

    def result(
        self,
        timeout: float | None = None,
        progress: bool = False,
        on_progress: OnProgress | None = None,
    ) -> list[R]:
        """What the function returned for each item, in the items' order."""
        self.wait(on_progress=on_progress)
        return [value for child in range(self.children) for value in self.child(child).result()]

    @property
    def progress(self) -> Progress:
        """How far it is: at its end."""
        return _progress(self._items)

    def failures(self) -> list[Failure]:
        """None: the first would have come out of `map`."""
        return []

    def logs(self, follow: bool = False) -> Iterator[str]:
        """The lines that its calls printed, child by child."""
        for child in range(self.children):
            yield from self.child(child).logs()


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
        packed = _packed(job, call)

        def result() -> Encoded:
            received, named = payload.unpack(job.parameters, packed, _receive)
            return job.encode_result(job.function(*received, **named), job.result_shape)

        run = EagerRun[Any](_new_id(), name, job.result_shape, _made(result))
        self._handles[run.id] = run
        return run

    def submit_many(self, job: Job[..., Any], calls: Iterable[Any]) -> EagerMapRun[Any]:
        """Make each call, in order, as a child of its own; exceptions as in `map`."""
        from tidemill.sdk.function import _args_of

        name = reference_of(job.function, job)
        bound = [job.parameters.bind(*_args_of(call, at)) for at, call in enumerate(calls)]
        packed = [_packed(job, call) for call in bound]

        def result(place: int, data: bytes) -> Encoded:
            received, named = payload.unpack(job.parameters, data, _receive)
            return job.encode_result([_call(job, received, named, place)], job.chunk_shape)

        made = [_made(partial(result, place, data)) for place, data in enumerate(packed)]
        return self._mapped(job, name, made, len(made), 1)

    def map(
        self, job: Job[..., Any], items: Iterable[Any], chunk: int | None = None
    ) -> EagerMapRun[Any]:
        """Make a call for each item, in order.

        The first exception of a call comes out, with a note that says for which item.
        """
        name = reference_of(job.function, job)
        chunks, size = _chunks(job, items, chunk)

        def result(first: int, received: list[Any]) -> Encoded:
            values = [_call(job, (item,), {}, place) for place, item in enumerate(received, first)]
            return job.encode_result(values, job.chunk_shape)

        made = [_made(partial(result, at * size, part)) for at, part in enumerate(chunks)]
        return self._mapped(job, name, made, sum(map(len, chunks)), size)

    def _mapped(
        self, job: Job[..., Any], name: str, made: list[Made], items: int, chunk: int
    ) -> EagerMapRun[Any]:
        run = EagerMapRun[Any](_new_id(), name, job.chunk_shape, made, items=items, chunk=chunk)
        if run.id:
            self._handles[run.id] = run
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


def _packed(job: Job[..., Any], call: inspect.BoundArguments) -> bytes:
    for value in (*call.args, *call.kwargs.values()):
        _refuse_stranger(value)
    return payload.pack(job.parameters, call)


def _call(job: Job[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], place: int) -> Any:
    try:
        return job.function(*args, **kwargs)
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


def _progress(items: int) -> Progress:
    return Progress(status="SUCCEEDED", why="", done=float(items), total=items)


def _new_id() -> str:
    import uuid

    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One job's worth of calls: what came of it, what it printed, when it was."""

    encoded: Encoded
    printed: list[str]
    attempt: Attempt


def _made(result: Callable[[], Encoded]) -> Made:
    """Make the calls, and keep what they print meanwhile."""
    printed: list[str] = []
    started_at = datetime.now(UTC)
    token = _printed.set(printed)
    try:
        encoded = result()
    finally:
        _printed.reset(token)
    attempt = Attempt(
        started_at=started_at,
        stopped_at=datetime.now(UTC),
        exit_code=0,
        reason="",
        log_stream="",
    )
    return Made(encoded=encoded, printed=printed, attempt=attempt)
