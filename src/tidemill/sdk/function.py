"""`@tm.job`: a function that can also be run as a job. Calling it still just calls it."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from tidemill.sdk import client, codec, payload, quantity
from tidemill.sdk.codec import Encoded
from tidemill.sdk.definition import Needs
from tidemill.sdk.error import SubmitError
from tidemill.sdk.payload import Parameters, Upstream
from tidemill.sdk.reference import reference_of, refuse_while_importing
from tidemill.sdk.retry import retry_of
from tidemill.sdk.run import MapRun, Run
from tidemill.sdk.shape import Shape, hints_of, shape_of
from tidemill.sdk.submission import Submitter

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Job(Generic[P, R]):
    """A function with `submit` and `map`. Its hints decide how values travel."""

    def __init__(self, function: Callable[P, R], needs: Needs) -> None:
        _refuse_async(function)
        functools.update_wrapper(self, function)
        self.function = function
        self.needs = needs

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return self.function(*args, **kwargs)

    @functools.cached_property
    def parameters(self) -> Parameters:
        """How its arguments are told apart and encoded."""
        return Parameters(self.function)

    @functools.cached_property
    def result_shape(self) -> Shape:
        """How what it returns is encoded."""
        return shape_of(hints_of(self.function).get("return"))

    @functools.cached_property
    def chunk_shape(self) -> Shape:
        """How what it returns for each item of a chunk is encoded."""
        return shape_of(list[hints_of(self.function).get("return", Any)])  # type: ignore[misc]  # a hint made at run time

    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def submit(self, run: Run[Any] | MapRun[Any], /, *args: Any, **kwargs: Any) -> Run[R]: ...
    def submit(self, *args: Any, **kwargs: Any) -> Run[R]:
        """Run one call as a job.

        An argument that is itself a run, or a map, is waited for and received as its result.
        """
        call = self.parameters.bind(args, kwargs)
        submitter = self._submitter()
        packed = payload.pack(self.parameters, call)
        values = (*call.args, *call.kwargs.values())
        upstream = (value for value in values if isinstance(value, Upstream))
        waits_for = dict.fromkeys(job_id for each in upstream for job_id in each.upstream_ids())
        made = submitter.one(packed, list(waits_for))
        return Run(
            submitter.connection, made.job_id, made.results, submitter.reference, self.result_shape
        )

    def map(
        self: Callable[[T], R],
        items: Iterable[T] | MapRun[T],
        *,
        chunk: int | None = None,
    ) -> MapRun[R]:
        """Run one call for each item, as one array job with a child for each `chunk` of items.

        The items of another map are its results: each child starts when the same child of that
        map has succeeded, with no barrier between.
        """
        # Seen as a callable of one argument, `self` tells the type checker what the items are.
        return cast("Job[Any, R]", self)._map(items, chunk)

    def _map(self, items: Iterable[Any] | MapRun[Any], chunk: int | None) -> MapRun[R]:
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk={chunk} must be at least 1.")
        if isinstance(items, MapRun):
            return self._map_along(items, chunk)
        grain = chunk or 1
        encoded, count = self._chunks(items, grain)
        submitter = self._submitter()
        if not encoded:
            return self._map_run(submitter, "", "", 0, grain)
        made = submitter.chunks(encoded)
        return self._map_run(submitter, made.job_id, made.results, count, grain)

    def _map_along(self, upstream: MapRun[Any], chunk: int | None) -> MapRun[R]:
        count, grain = upstream.grain
        if chunk not in (None, grain):
            raise SubmitError(
                f"A map over a map keeps its chunks, which are of {grain}; leave chunk= out."
            )
        submitter = self._submitter()
        if not count:
            return self._map_run(submitter, "", "", 0, grain)
        made = submitter.along(upstream.upstream(), upstream.id)
        return self._map_run(submitter, made.job_id, made.results, count, grain)

    def _map_run(
        self, submitter: Submitter, job_id: str, url: str, items: int, chunk: int
    ) -> MapRun[R]:
        reference = submitter.reference
        connection = submitter.connection
        return MapRun(
            connection, job_id, url, reference, self.chunk_shape, items=items, chunk=chunk
        )

    def _submitter(self) -> Submitter:
        refuse_while_importing(self.function.__qualname__)
        return Submitter(client.current(), reference_of(self.function, self), self.needs)

    @functools.cached_property
    def item_shape(self) -> Shape:
        """How the items of a chunk are encoded."""
        hint = hints_of(self.function).get(self.parameters.name(0), Any)
        return shape_of(list[hint])  # type: ignore[valid-type]  # a hint made at run time

    def _chunks(self, items: Iterable[Any], size: int) -> tuple[list[Encoded], int]:
        shape = self.item_shape
        rest, encoded, count = iter(items), list[Encoded](), 0
        while chunk := list(itertools.islice(rest, size)):
            if any(isinstance(item, Upstream) for item in chunk):
                raise SubmitError(
                    f"{self.parameters.function_name}.map takes values, or one whole map, not a "
                    f"list of runs; use submit() for each."
                )
            encoded.append(self.parameters.encode(chunk, 0, shape))
            count += len(chunk)
        return encoded, count

    def encode_result(self, value: Any, shape: Shape) -> Encoded:
        """What the function returned, encoded; a `TypeError` says so when it can't be."""
        try:
            return codec.encode(value, shape)
        except Exception as error:
            raise TypeError(
                f"{self.parameters.function_name} returned what can't be sent back: {error}"
            ) from error


def _refuse_async(function: Callable[..., Any]) -> None:
    """A job's result is a value: what only makes one later has none to send back."""
    kinds = {
        "a coroutine": inspect.iscoroutinefunction(function),
        "a generator": inspect.isgeneratorfunction(function),
        "an async generator": inspect.isasyncgenfunction(function),
    }
    for kind, is_it in kinds.items():
        if is_it:
            name = getattr(function, "__qualname__", repr(function))
            raise SubmitError(
                f"{name} is {kind} function and can't be a job; make a job of a plain function "
                "that returns the finished value (`asyncio.run(...)`, `list(...)`)."
            )


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(
    *,
    vcpus: float = 1,
    memory: int | str = 512,
    attempts: int = 1,
    timeout: float | str | timedelta | None = None,
    queue: str | None = None,
) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    vcpus: float = 1,
    memory: int | str = 512,
    attempts: int = 1,
    timeout: float | str | timedelta | None = None,
    queue: str | None = None,
) -> Any:
    """Make a job of a function, with what it needs: `memory` in MiB or as "2GiB", `timeout` in
    seconds or as "15m". `queue` None means the project's queue, `default` if it names none.
    """
    needs = Needs(
        vcpus=quantity.vcpus_text(vcpus),
        memory_mib=quantity.memory_mib(memory),
        retry=retry_of(attempts),
        timeout_s=None if timeout is None else quantity.timeout_s(timeout),
        queue=queue,
    )
    if function is not None:
        return Job(function, needs)
    return lambda decorated: Job(decorated, needs)
