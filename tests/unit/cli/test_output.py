"""Tables that fit, durations as people say them."""

from __future__ import annotations

import click
import pytest

from tidemill.cli.output import age, ids_shown, table

COLUMNS = ["ID", "STATUS", "WHY"]


def plain(lines: list[str]) -> list[str]:
    return [click.unstyle(line) for line in lines]


def test_the_last_column_is_cut_where_the_terminal_ends() -> None:
    rows = [["a", "RUNNABLE", "x" * 100], ["long-id", "FAILED", "short"]]
    assert plain(table(COLUMNS, rows, 60)) == [
        "ID       STATUS    WHY",
        "a        RUNNABLE  " + "x" * 40 + "…",
        "long-id  FAILED    short",
    ]


def test_a_narrow_terminal_still_sees_something_of_it() -> None:
    [_, row] = plain(table(COLUMNS, [["a" * 36, "FAILED", "y" * 100]], 40))
    assert row.endswith("y" * 19 + "…")


def test_a_status_has_its_colour_and_a_name_like_it_none() -> None:
    [_, row] = table(COLUMNS, [["FAILED-", "FAILED", ""]], 80)
    assert row == "FAILED-  " + click.style("FAILED", fg="red")


def test_a_narrow_screen_has_the_first_letters_of_ids_as_many_as_tell_them_apart() -> None:
    ids = ["12345678-aa", "12345678-ab", "87654321-aa"]
    assert ids_shown(ids, 100) == ids
    assert ids_shown(ids[1:], 80) == ["12345678", "87654321"]
    assert ids_shown(ids, 80) == ids


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (0, "0ms"),
        (-5, "0ms"),
        (999, "999ms"),
        (1000, "1s"),
        (59_999, "59s"),
        (60_000, "1m 0s"),
        (3_600_000, "1h 0m"),
        (86_400_000 * 3 + 3_600_000, "3d 1h"),
    ],
)
def test_age(ms: int, told: str) -> None:
    assert age(1_000, 1_000 + ms) == told
    assert age(None) == "-"
