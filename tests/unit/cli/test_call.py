"""The words after `tidemill run SCRIPT:FUNCTION` as the function's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from tidemill.cli.run import arguments_of
from tidemill.sdk.definition import Needs
from tidemill.sdk.function import Job


@dataclass
class Point:
    x: int
    y: int


def call(who: str, count: int = 1, *rest: Any, at: Point | None = None, **more: Any) -> None: ...


JOB: Job[..., Any] = Job(call, Needs())


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (["5", "6", "7"], ["5", 6, 7], {}),
        (["ann", "not json"], ["ann", "not json"], {}),
        (["ann", "--at", '{"x": 1, "y": 2}'], ["ann"], {"at": Point(1, 2)}),
        (["--who=ann", "--dry-run", "--n", "[1]"], [], {"who": "ann", "dry_run": True, "n": [1]}),
        (["--who", "--dry-run"], [], {"who": True, "dry_run": True}),
        (["a", "-1", "--", "--x", "true"], ["a", -1, "--x", True], {}),
    ],
)
def test_words(words: list[str], args: list[Any], kwargs: dict[str, Any]) -> None:
    assert arguments_of(JOB, tuple(words)) == (args, kwargs)


def test_a_path_stays_one() -> None:
    def open_it(path: Path) -> None: ...

    job: Job[..., Any] = Job(open_it, Needs())
    assert arguments_of(job, ("a.txt",)) == ([Path("a.txt")], {})


def test_json_that_does_not_fit_the_hint_is_refused_by_name() -> None:
    with pytest.raises(click.UsageError, match="at: "):
        arguments_of(JOB, ("a", "--at", '{"x": 1}'))
