"""Sets of children's numbers behave as sorted lists do, and come back from their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.sdk.index_set import IndexSet, parse

NUMBERS = st.sets(st.integers(0, 200), min_size=1)


@given(NUMBERS)
def test_a_set_is_a_sorted_list_of_its_numbers(numbers: set[int]) -> None:
    made = parse(IndexSet.of(numbers).text())
    assert list(made) == sorted(numbers)
    assert [made[place] for place in range(len(made))] == sorted(numbers)
    assert [made.place(number) for number in sorted(numbers)] == [*range(len(made))]
    assert all((number in made) == (number in numbers) for number in range(-1, 203))


@given(NUMBERS, st.integers(1, 50), st.integers(30, 200))
def test_pieces_are_small_enough_and_leave_nothing_out(
    numbers: set[int], size: int, letters: int
) -> None:
    pieces = [*IndexSet.of(numbers).pieces(size, letters)]
    assert [number for piece in pieces for number in piece] == sorted(numbers)
    assert all(len(piece) <= size and len(piece.text()) <= letters for piece in pieces)


def test_the_text_is_short_where_numbers_lie_together() -> None:
    assert IndexSet.of([3, 17, *range(99, 121)]).text() == "3,17,99-120"
    assert IndexSet.span(5, 0).text() == ""
    with pytest.raises(IndexError):
        IndexSet.span(5, 2)[2]
    with pytest.raises(ValueError, match="invalid literal"):
        parse("a-b")
