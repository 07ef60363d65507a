"""`@tm.job`: a function that can also be run as a job. Calling it still just calls it.

A program that only makes jobs of its functions, or calls them, pays for no more than that: what
submitting needs is imported when something is submitted.
"""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from tidemill.sdk import client, codec, expiry, option, payload, quantity, retry
from tidemill.sdk.codec import Encoded
from tidemill.sdk.concurrency import concurrency_of
from tidemill.sdk.definition import Needs
from tidemill.sdk.error import SubmitError, TidemillError
from tidemill.sdk.option import NOTHING, Options, Order
from tidemill.sdk.payload import Parameters
from tidemill.sdk.reference import load, reference_of, refuse_while_importing
from tidemill.sdk.retry import Errors
from tidemill.sdk.shape import Shape, hints_of, shape_of

if TYPE_CHECKING:
    from tidemill.sdk.eager import Eager
    from tidemill.sdk.ledger import Ledger
    from tidemill.sdk.run import MapRun, Run
    from tidemill.sdk.submission import Submitter, Upstream

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
Time = float | str | timedelta
AUTO: Final = "auto"
Call = tuple[Any, ...]


class Job(Generic[P, R]):
    """A function with `submit`, `map` and `submit_many`. Its hints decide how values travel."""

    def __init__(self, function: Callable[P, R], needs: Needs) -> None:
        _refuse_async(function)
        _refuse_method(function)
        functools.update_wrapper(self, function)
        self.function = function
        self.needs = needs
        self._order = NOTHING
        self._given: frozenset[str] = frozenset()
        self._origin = self

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

    @functools.cached_property
    def item_shape(self) -> Shape:
        """How the items of a chunk are encoded."""
        hint = hints_of(self.function).get(self.parameters.name(0), Any)
        return shape_of(list[hint])  # type: ignore[valid-type]  # a hint made at run time

    def options(self, **options: Unpack[Options]) -> Job[P, R]:
        """The same job with options for what it submits: `job.options(tenant="acme").submit(...)`.

        Here every option can be given, whatever the function calls its own parameters, and a type
        checker still checks the arguments of `submit`.
        """
        made = copy.copy(self)
        made._order = option.merged(self._order, options)
        made._given = self._given | options.keys()
        return made

    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]: ...
    @overload
    def submit(self, run: Run[Any] | MapRun[Any], /, *args: Any, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, tenant: str | int | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, key: str | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, delay: Time | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, depends_on: object, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, tags: Mapping[str, str], **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, vcpus: float, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, memory: int | str, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, timeout: Time | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, queue: str | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, attempts: int, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(
        self, *args: Any, backoff: Time | tuple[Time, Time] | None, **kwargs: Any
    ) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, concurrency: int | str | None, **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, environment: Mapping[str, str], **kwargs: Any) -> Run[R]: ...
    @overload
    def submit(self, *args: Any, keep: Time | None, **kwargs: Any) -> Run[R]: ...
    def submit(self, *args: Any, **kwargs: Any) -> Run[R]:
        """Run one call as a job.

        An argument that is itself a run, or a map, is waited for and received as its result. A
        keyword that the function can't take, and that names an option, is one: see `options`.
        """
        order, kwargs = self._split(args, kwargs)
        taking = _taking()
        if taking is not None:
            made: Run[R] = taking.submit(self._origin, args, kwargs)
            return made
        from tidemill.sdk.run import Run

        call = self.parameters.bind(args, kwargs)
        submitter = self._submitter(order)

        def submit() -> Run[R]:
            packed = payload.pack(self.parameters, call)
            upstream = _upstream((*call.args, *call.kwargs.values()))
            ledger = submitter.one(packed, upstream)
            return Run(ledger, submitter.reference, self.result_shape)

        return submitter.once("submit", submit, self._known)

    def submit_many(self, calls: Iterable[Call], **options: Unpack[Options]) -> MapRun[R]:
        """Run many calls, as one array job with a child for each.

        A call is the tuple of its arguments, or a pair of that and a dict of keywords. What comes
        back is a map of the calls: `result()` is the list of what they returned, `runs[2]` the
        run of the third.
        """
        _refuse_single(calls, f"{self.function.__qualname__}.submit_many", "a list of calls")
        order = option.merged(self._order, options)
        taking = _taking()
        if taking is not None:
            pairs = (_args_of(call, place) for place, call in enumerate(calls))
            many: MapRun[R] = taking.submit_many(self._origin, pairs)
            return many
        submitter = self._submitter(order)
        bound = [self.parameters.bind(*_args_of(call, place)) for place, call in enumerate(calls)]
        if not bound:
            return self._map_run(submitter, None, 0, 1)

        def submit() -> MapRun[R]:
            packed = [Encoded(payload.CALL, payload.pack(self.parameters, call)) for call in bound]
            values = (value for call in bound for value in (*call.args, *call.kwargs.values()))
            ledger = submitter.calls(packed, _upstream(values))
            return self._map_run(submitter, ledger, len(bound), 1)

        return submitter.once("many", submit, self._known_map)

    def map(
        self: Callable[[T], R],
        items: Iterable[T] | MapRun[T],
        *,
        chunk: int | Literal["auto"] | None = None,
        **options: Unpack[Options],
    ) -> MapRun[R]:
        """Run one call for each item, as one array job with a child for each `chunk` of items.

        The items of another map are its results: each child starts when the same child of that
        map has succeeded, with no barrier between. `chunk="auto"` makes children that take about
        ten seconds, by what items of earlier maps have taken; without it, one item is a child.
        """
        # Seen as a callable of one argument, `self` tells the type checker what the items are.
        return cast("Job[Any, R]", self)._map(items, chunk, options)

    def _map(
        self,
        items: Iterable[Any] | MapRun[Any],
        chunk: int | Literal["auto"] | None,
        options: Options,
    ) -> MapRun[R]:
        if chunk is not None and chunk != AUTO and (not isinstance(chunk, int) or chunk < 1):
            raise ValueError(f'chunk={chunk!r} must be at least 1, or "auto".')
        _refuse_single(
            items, f"{self.function.__qualname__}.map", "items, such as a list, or a map"
        )
        order = option.merged(self._order, options)
        taking = _taking()
        if taking is not None:
            made: MapRun[R] = taking.map(self._origin, items, None if chunk == AUTO else chunk)
            return made
        from tidemill.sdk.run import MapRun

        submitter = self._submitter(order)
        if isinstance(items, MapRun):
            return self._map_along(submitter, items, chunk)
        if chunk == AUTO:
            items = list(items)
            size = self._measured(submitter, len(items))
        else:
            size = chunk or 1
        encoded, count = self._chunks(items, size)
        if not encoded:
            return self._map_run(submitter, None, 0, size)

        def submit() -> MapRun[R]:
            ledger = submitter.chunks(encoded, count, size)
            return self._map_run(submitter, ledger, count, size)

        return submitter.once("map", submit, self._known_map)

    def _map_along(
        self, submitter: Submitter, upstream: MapRun[Any], chunk: int | Literal["auto"] | None
    ) -> MapRun[R]:
        from tidemill.sdk.submission import Upstream

        count, size = upstream.grain
        if chunk not in (None, AUTO, size):
            raise SubmitError(
                f"A map over a map keeps its chunks, which are of {size}; leave chunk= out."
            )
        if not count:
            return self._map_run(submitter, None, 0, size)

        def submit() -> MapRun[R]:
            waited = Upstream(
                ledger=upstream._ledger, ids=tuple(upstream.upstream_ids()), is_along=True
            )
            ledger = submitter.along(upstream.upstream(), count, size, waited)
            return self._map_run(submitter, ledger, count, size)

        return submitter.once("map", submit, self._known_map)

    def _measured(self, submitter: Submitter, items: int) -> int:
        from tidemill.sdk import grain

        return grain.chunk_for(submitter.connection, submitter.queue, submitter.name, items)

    def _map_run(
        self, submitter: Submitter, ledger: Ledger | None, items: int, chunk: int
    ) -> MapRun[R]:
        from tidemill.sdk.ledger import Ledger
        from tidemill.sdk.run import MapRun

        made = ledger or Ledger(submitter.connection, "", [[]])
        return MapRun(made, submitter.reference, self.chunk_shape, items=items, chunk=chunk)

    def _known(self, job_id: str) -> Run[R]:
        from tidemill.sdk import lookup

        return cast("Run[R]", lookup.handle(client.current(), job_id))

    def _known_map(self, job_id: str) -> MapRun[R]:
        from tidemill.sdk import lookup

        return cast("MapRun[R]", lookup.handle(client.current(), job_id))

    def _submitter(self, order: Order) -> Submitter:
        from tidemill.sdk.submission import Submitter

        refuse_while_importing(self.function.__qualname__)
        return Submitter(client.current(), self._reference(), self.needs, order)

    def _reference(self) -> str:
        return reference_of(self.function, self._origin)

    def _split(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Order, dict[str, Any]]:
        """The options among a call's keywords, and the rest: what the function can take is its."""
        named = option.NAMES.intersection(kwargs)
        taken = {name for name in named if not self.parameters.takes(name, len(args))}
        if not taken:
            return self._order, kwargs
        for name in taken & self._given:
            raise option.refuse_twice(name, self.parameters.function_name)
        order = option.merged(self._order, {name: kwargs[name] for name in taken})
        return order, {name: value for name, value in kwargs.items() if name not in taken}

    def _chunks(self, items: Iterable[Any], size: int) -> tuple[list[Encoded], int]:
        shape = self.item_shape
        rest, encoded, count = iter(items), list[Encoded](), 0
        while chunk := list(itertools.islice(rest, size)):
            if any(map(payload.is_upstream, chunk)):
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


def _taking() -> Eager | None:
    """What `tm.eager()` has put in a server's place, if anybody has imported that at all."""
    eager = sys.modules.get("tidemill.sdk.eager")
    taking: Eager | None = eager.active() if eager is not None else None
    return taking


def _upstream(values: Iterable[Any]) -> list[Upstream]:
    """The runs among a call's arguments."""
    from tidemill.sdk.run import MapRun, Run
    from tidemill.sdk.submission import Upstream

    found = {id(value): value for value in values if isinstance(value, Run | MapRun)}
    return [
        Upstream(ledger=run._ledger, ids=tuple(run.upstream_ids()))
        for run in found.values()
        if not isinstance(run, MapRun) or len(run)
    ]


def _args_of(call: Any, place: int) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(call, tuple):
        match call:
            case (tuple() as args, dict() as kwargs):
                return args, kwargs
            case _:
                return call, {}
    raise TypeError(
        f"Call {place} is {call!r}, and must be a tuple of arguments, or a pair of that and a dict "
        f"of keywords: [(1, 2), ((3,), {{'scale': 2}})]."
    )


def job_of(reference: str) -> Job[..., Any]:
    """The job that a reference names; a plain function is one as it is. Raises what importing
    raises, and `TidemillError` for anything else.
    """
    found = load(reference)
    if isinstance(found, FunctionType):
        found = Job(found, Needs())
    if not isinstance(found, Job):
        raise TidemillError(f"{reference} is no job any more; decorate the function with @tm.job.")
    return found


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


def _refuse_method(function: Callable[..., Any]) -> None:
    """A job is found by its name alone, in a process where nothing of its object is."""
    name = getattr(function, "__qualname__", "")
    if name.rpartition(".")[0].rpartition(".")[2] in ("", "<locals>"):
        return
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None and code.co_varnames[: code.co_argcount][:1] in (("self",), ("cls",)):
        raise SubmitError(
            f"{name} is a method and can't be a job; move it to a function outside of the class "
            f"that takes what it needs as arguments."
        )


def _refuse_single(given: object, told: str, wanted: str) -> None:
    if not hasattr(type(given), "__iter__") and not hasattr(type(given), "__getitem__"):
        raise TypeError(f"{told} takes {wanted}, not {given!r}; use submit() for one call.")


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(
    *,
    vcpus: float = 1,
    memory: int | str = 512,
    attempts: int = 1,
    retry_on: type[BaseException] | Errors = (),
    give_up_on: type[BaseException] | Errors = (),
    backoff: Time | tuple[Time, Time] | None = None,
    timeout: Time | None = None,
    soft_timeout: Time | None = None,
    queue: str | None = None,
    concurrency: int | str | None = None,
    environment: Mapping[str, str] | None = None,
    keep: Time | None = "7d",
) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    vcpus: float = 1,
    memory: int | str = 512,
    attempts: int = 1,
    retry_on: type[BaseException] | Errors = (),
    give_up_on: type[BaseException] | Errors = (),
    backoff: Time | tuple[Time, Time] | None = None,
    timeout: Time | None = None,
    soft_timeout: Time | None = None,
    queue: str | None = None,
    concurrency: int | str | None = None,
    environment: Mapping[str, str] | None = None,
    keep: Time | None = "7d",
) -> Any:
    """Make a job of a function, with what it needs.

    `memory` is in MiB or as "2GiB"; times are in seconds, as "15m", or a `timedelta`. `queue` None
    means the project's queue, `default` if it names none. It is tried `attempts` times: after any
    exception, or, with `retry_on` and `give_up_on`, after those that they say; `backoff` is the
    first wait between two tries, which doubles, or a pair of the first and the longest. `timeout`
    kills an attempt; `soft_timeout` raises `tm.SoftTimeout` in it before. `concurrency` is how
    many of its jobs run at once: 3 in all, "2/tenant" for each tenant. `environment` are variables
    of its jobs. Inputs and results are kept for `keep`; None is for ever.
    """
    needs = Needs(
        vcpus=quantity.vcpus_text(vcpus),
        memory_mib=quantity.memory_mib(memory),
        retry=retry.retry_of(attempts, retry_on, give_up_on, backoff),
        timeout_s=None if timeout is None else quantity.timeout_s(timeout),
        soft_timeout_s=_soft_timeout_s(soft_timeout, timeout),
        queue=option.queue_of(queue),
        concurrency=concurrency_of(concurrency),
        environment=option.environment_of(environment),
        keep_days=expiry.days_of(keep),
    )
    if function is not None:
        return Job(function, needs)
    return lambda decorated: Job(decorated, needs)


def _soft_timeout_s(soft: Time | None, hard: Time | None) -> int | None:
    if soft is None:
        return None
    limit_s = quantity.timeout_s(soft, "soft_timeout")
    if hard is not None and limit_s >= quantity.timeout_s(hard):
        raise ValueError(
            f"soft_timeout={soft!r} must be less than timeout={hard!r}: the job is warned by the "
            f"first and killed by the second."
        )
    return limit_s
