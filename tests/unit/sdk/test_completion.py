"""How often what has ended is looked for."""

from __future__ import annotations

import pytest

from tidemill.sdk.completion import Share


def test_what_takes_longer_is_done_less_often() -> None:
    share, now_s, spent_s = Share(0.2), 100.0, 0.0
    for took_s in (0.01, 1.0, 3.0, 0.5):
        while not share.is_due(now_s):
            now_s += 0.001
        share.spend(now_s, now_s + took_s)
        now_s += took_s
        spent_s += took_s
        assert not share.is_due(now_s)
    while not share.is_due(now_s):
        now_s += 0.001
    assert spent_s / (now_s - 100.0) == pytest.approx(0.2, rel=0.01)
