"""One call's arguments on their way to a job, each encoded by itself.

An argument that is a run, or a map of runs, goes as a reference to where its result will lie; the
job waits for it and receives the value, or the list of values. A small payload travels in the
job's own parameters, where the console shows it; a large one as an object.
"""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeGuard, runtime_checkable

from tidemill.sdk import codec
from tidemill.sdk.codec import Encoded
from tidemill.sdk.error import SubmitError
from tidemill.sdk.shape import PLAIN, Shape, hints_of, shape_of

INLINE: Final = "data:application/json,"
INLINE_BYTES: Final = 4096
RUN: Final = "r"
CALL: Final = "c"
"""The kind of a bundle's part that is a whole call."""
_MAP: Final = b'{"map":'
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


@runtime_checkable
class Upstream(Protocol):
    """A result that another job will have left, before there is one."""

    def upstream(self) -> dict[str, Any]:
        """What a job needs to receive it: plain JSON."""

    def upstream_ids(self) -> list[str]:
        """The jobs to wait for."""


def is_upstream(value: Any) -> TypeGuard[Upstream]:
    """Whether an argument is a run; as `isinstance`, which takes longer than all else of a call."""
    return hasattr(type(value), "upstream_ids")


class Parameters:
    """A function's parameters: which a value belongs to, what it is called, how it is encoded.

    A place is a position or a keyword, as in a call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = inspect.signature(function)
        self.function_name = function.__qualname__
        hints = hints_of(function)
        self._shapes = {name: shape_of(hints.get(name)) for name in self._signature.parameters}
        every = self._signature.parameters.values()
        self._positional = [each.name for each in every if each.kind in _POSITIONAL]
        self._rest = next((p.name for p in every if p.kind is p.VAR_POSITIONAL), "")
        self._others = next((p.name for p in every if p.kind is p.VAR_KEYWORD), "")

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """The call as the function would take it; raises the `TypeError` that it would raise.

        Of a keyword that is none of its parameters it says which option may be meant.
        """
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.function_name}() {error}{self._hint(kwargs)}") from None

    def _hint(self, kwargs: Mapping[str, Any]) -> str:
        from tidemill.sdk import option  # jobs, which take calls as well, need nothing of it

        known = {*self._signature.parameters, *option.NAMES}
        hints = (option.hint(name) for name in kwargs if name not in known)
        return "" if self._others else next(filter(None, hints), "")

    def takes(self, name: str, positional: int) -> bool:
        """Whether a call with so many positional arguments can take this keyword too."""
        if name not in self._signature.parameters:
            return bool(self._others)
        kind = self._signature.parameters[name].kind
        if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            return self._positional.index(name) >= positional
        return kind is inspect.Parameter.KEYWORD_ONLY or bool(self._others)

    def name(self, place: int | str) -> str:
        """The parameter at `place`."""
        if isinstance(place, str):
            return place
        return self._positional[place] if place < len(self._positional) else self._rest

    def shape(self, place: int | str) -> Shape:
        """How a value at `place` is encoded."""
        name = self.name(place)
        return self._shapes.get(name) or self._shapes.get(self._others, PLAIN)

    def encode(self, value: Any, place: int | str, shape: Shape) -> Encoded:
        """The value encoded, or a `SubmitError` that names the argument and says what to do."""
        try:
            return codec.encode(value, shape)
        except Exception as error:
            raise SubmitError(
                f"The argument {self.name(place)!r} of {self.function_name} can't be sent to a "
                f"job ({error}); pass what the job needs to make it itself, such as a path, a "
                f"name or a key."
            ) from error


def pack(parameters: Parameters, call: inspect.BoundArguments) -> bytes:
    """The call as bytes; `SubmitError` names the argument that can't be sent."""

    def packed(place: int | str, value: Any) -> list[Any]:
        if is_upstream(value):
            return [RUN, value.upstream()]
        encoded = parameters.encode(value, place, parameters.shape(place))
        if encoded.kind == codec.JSON:
            return [codec.JSON, json.loads(encoded.data)]
        return [codec.PICKLE, base64.b64encode(encoded.data).decode("ascii")]

    content = {
        "args": [packed(place, value) for place, value in enumerate(call.args)],
        "kwargs": {name: packed(name, value) for name, value in call.kwargs.items()},
    }
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def unpack(
    parameters: Parameters, data: bytes, receive: Callable[[dict[str, Any]], Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments again; `receive` gives what a reference stands for."""

    def unpacked(place: int | str, packed: list[Any]) -> Any:
        kind, content = packed
        if kind == RUN:
            return receive(content)
        if kind == codec.JSON:
            return parameters.shape(place).load(content)
        return codec.decode(Encoded(kind, base64.b64decode(content)))

    content = json.loads(data)
    args = [unpacked(place, value) for place, value in enumerate(content["args"])]
    return args, {name: unpacked(name, value) for name, value in content["kwargs"].items()}


def pack_map(upstream: dict[str, Any]) -> bytes:
    """The payload of a map over a map: each child takes the results of the same child there."""
    return _MAP + json.dumps(upstream, separators=(",", ":")).encode("ascii") + b"}"


def read_map(data: bytes) -> dict[str, Any] | None:
    """The map that a map is over, or None when `data` is a call's payload."""
    found: dict[str, Any] | None = json.loads(data)["map"] if data.startswith(_MAP) else None
    return found
