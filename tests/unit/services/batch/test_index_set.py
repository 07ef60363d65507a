"""Index sets against plain sets of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.services.batch.index_set import IndexSet
from tidemill.services.batch.journal import runs

spans = st.tuples(st.integers(0, 40), st.integers(0, 6)).map(lambda s: (s[0], s[0] + s[1]))
steps = st.lists(st.tuples(st.sampled_from(["add", "take", "discard", "pop"]), spans))


@given(steps)
def test_behaves_as_a_set_of_numbers_that_shows_its_ranges(
    taken: list[tuple[str, tuple[int, int]]],
) -> None:
    found, plain = IndexSet(), set[int]()
    for step, (first, last) in taken:
        span = set(range(first, last + 1))
        match step:
            case "add":
                found.add_range(first, last)
                plain |= span
            case "take":
                ranges = found.take_range(first, last)
                assert {i for a, b in ranges for i in range(a, b + 1)} == plain & span
                plain -= span
            case "discard":
                assert found.discard(first) == (first in plain)
                plain.discard(first)
            case "pop" if plain:
                assert found.pop_first() == min(plain)
                plain.remove(min(plain))
        assert sorted(plain) == list(found)
        assert len(found) == len(plain)
        assert found.first == min(plain, default=None)
        assert all(
            b + 1 < c for (_, b), (c, _) in zip(found.ranges(), found.ranges()[1:], strict=False)
        )
    assert all(i in found for i in plain)


@given(st.sets(st.integers(0, 60), min_size=1))
def test_runs_of_indexes(indexes: set[int]) -> None:
    assert runs(list(indexes)) == IndexSet((i, i) for i in indexes).ranges()
