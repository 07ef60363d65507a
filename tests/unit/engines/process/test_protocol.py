"""Frames survive any way in which a stream cuts them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.engines.process.protocol import (
    Command,
    FrameError,
    Frames,
    Order,
    Recover,
    Start,
    Stop,
    frame,
)

ORDER = Order("id", "pool", ["a", "b"], {"K": "v"}, 1, 2, "group", "stream", None, [("core", 0, 0)])
MESSAGES = [Start([ORDER]), Stop([("id", 1.5)]), Recover(["id"])]


@given(st.lists(st.integers(1, 40), max_size=50))
def test_messages_arrive_whole_however_the_bytes_come(cuts: list[int]) -> None:
    data = b"".join(frame([message]) for message in MESSAGES) + frame(MESSAGES)
    frames = Frames()
    bodies: list[bytes] = []
    for cut in cuts:
        bodies += frames.feed(data[:cut])
        data = data[cut:]
    bodies += frames.feed(data)
    found = [each for body in bodies for each in msgspec.msgpack.decode(body, type=list[Command])]
    assert found == MESSAGES * 2


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(FrameError):
        list(Frames().feed(b"GET / HTTP/1.1"))


def test_a_later_version_may_add_fields_at_the_end() -> None:
    longer = msgspec.msgpack.encode([["stop", [["id", 1.0]], "new"]])
    assert msgspec.msgpack.decode(longer, type=list[Command]) == [Stop([("id", 1.0)])]
