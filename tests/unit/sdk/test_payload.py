"""Calls travel argument by argument; what can't is refused by its name."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from tidemill.sdk import bundle, payload
from tidemill.sdk.codec import Encoded, encode
from tidemill.sdk.error import SubmitError
from tidemill.sdk.payload import Parameters


@dataclass
class Report:
    total: int


def function(report: Report, *rest: Report, deep: bool = False, **others: list[Report]) -> None: ...


class Handle:
    def upstream(self) -> dict[str, Any]:
        return {"results": "s3://b/k/"}

    def upstream_ids(self) -> list[str]:
        return ["j"]


def sent(*args: Any, **kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    parameters = Parameters(function)
    data = payload.pack(parameters, parameters.bind(args, kwargs))
    return payload.unpack(parameters, data, lambda reference: ("received", reference))


def test_arguments_of_every_kind_arrive() -> None:
    args = [Report(1), Report(2), {3: 4}]
    kwargs = {"deep": True, "more": [Report(5)]}
    assert sent(*args, **kwargs) == (args, kwargs)


def test_a_handle_arrives_as_what_it_stands_for() -> None:
    assert sent(Handle()) == ([("received", {"results": "s3://b/k/"})], {})


@pytest.mark.parametrize(
    ("args", "kwargs", "name"),
    [
        ([threading.Lock()], {}, "report"),
        ([Report(1), threading.Lock()], {}, "rest"),
        ([Report(1)], {"deep": threading.Lock()}, "deep"),
        ([Report(1)], {"others": threading.Lock()}, "others"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(
    args: list[Any], kwargs: dict[str, Any], name: str
) -> None:
    with pytest.raises(SubmitError, match=f"argument '{name}' of function can't be sent"):
        sent(*args, **kwargs)


def test_a_call_that_the_function_would_refuse_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"function\(\) missing a required argument: 'report'"):
        sent()


def test_a_map_over_a_map_is_told_from_a_call() -> None:
    upstream = {"results": "s3://b/k/", "of": "app:render", "children": 3}
    assert payload.read_map(payload.pack_map(upstream)) == upstream
    parameters = Parameters(function)
    call = payload.pack(parameters, parameters.bind([Report(1)], {"map": [Report(2)]}))
    assert payload.read_map(call) is None


def test_a_large_bundle_is_no_second_copy_of_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = [encode(["a" * 1000 * size]) for size in (1, 2, 3)]
    joined = bundle.pack(chunks)
    monkeypatch.setattr(bundle, "JOINED_BYTES_MAX", 1000)
    parts = bundle.pack(chunks)
    assert isinstance(joined, bytes)
    assert isinstance(parts, bundle.Parts)
    assert parts.readall() == joined
    assert parts.seek(0, os.SEEK_END) == len(joined)
    assert parts.read(1) == b""
    parts.seek(0)
    with io.BufferedReader(parts, 70) as read:
        assert b"".join(iter(lambda: read.read(33), b"")) == joined


def test_a_chunk_is_found_in_its_bundle_by_two_ranges() -> None:
    chunks = [encode([1, 2]), encode([]), Encoded("p", b"\0" * 1000), encode(["last"])]
    whole = bundle.pack(chunks)
    assert isinstance(whole, bytes)
    for index, chunk in enumerate(chunks):
        start, end = bundle.slot_span(index)
        first, last = bundle.read_slot(whole[start:end])
        assert bundle.read_chunk(whole[first:last]) == chunk == bundle.chunk_of(whole, index)
