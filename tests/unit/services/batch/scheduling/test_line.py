"""The line against a plain sorted list, past the size of a chunk."""

from __future__ import annotations

import random

from tidemill.services.batch.request import Request
from tidemill.services.batch.scheduling.line import Line
from tidemill.services.batch.scheduling.spec import Waiting


def entry(rank: int, seq: int) -> tuple[int, int, Waiting]:
    job = Waiting(job_id=f"{rank}.{seq}", queue="q", seq=seq, request=Request(1, 1))
    return rank, seq, job


def test_it_is_a_sorted_list_whatever_is_done_to_it() -> None:
    chance = random.Random(7)
    line, plain = Line(), []
    for step in range(6000):
        if plain and chance.random() < 0.4:
            gone = plain.pop(chance.randrange(len(plain)) if chance.random() < 0.5 else 0)
            line.remove(gone[0], gone[1])
        else:
            new = entry(chance.choice([-5, 0, 0, 0, 3]), step)
            line.add(new)
            plain = sorted([*plain, new], key=lambda each: each[:2])
        assert len(line) == len(plain)
        if plain:
            assert line.first() is plain[0]
            place = chance.randrange(len(plain))
            assert line.count_before(*plain[place][:2]) == place
    assert list(line) == plain
    assert line.count_before(99, 0) == len(plain)


def test_one_put_back_in_the_middle_of_a_long_line_is_found() -> None:
    line = Line()
    for seq in range(0, 10_000, 2):
        line.add(entry(0, seq))
    for seq in range(1, 4000, 2):
        line.add(entry(0, seq))
    assert [seq for _, seq, _ in line][:4000] == list(range(4000))
    assert line.count_before(0, 3999) == 3999
