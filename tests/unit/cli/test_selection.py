"""Which jobs are meant: ages as people write them, tags, and the count that is asked about."""

from __future__ import annotations

from typing import Any

import click
import pytest

from tidemill.cli import selection


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600), ("1w", 604_800)],
)
def test_ages(text: str, seconds: float) -> None:
    assert selection.age_s(text) == seconds


@pytest.mark.parametrize("text", ["2", "h", "", "2 hours", "-1h"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30m, 2h or 3d"):
        selection.age_s(text)


def test_a_tag_is_asked_for_with_or_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    details: dict[str, Any] = {
        "a": {"jobId": "a", "tags": {"team": "red"}},
        "b": {"jobId": "b", "tags": {"team": "blue"}},
        "c": {"jobId": "c"},
    }
    monkeypatch.setattr(selection, "find", lambda ids: {i: details[i] for i in ids if i in details})
    summaries = [{"jobId": name} for name in "abcd"]

    def tagged(*tags: str) -> list[str]:
        wanted = [tag.partition("=") for tag in tags]
        return [job["jobId"] for job in selection._tagged(summaries, wanted)]

    assert tagged("team=red") == ["a"]
    assert tagged("team") == ["a", "b"]
    assert tagged("team", "team=blue") == ["b"]
    assert tagged() == ["a", "b", "c"], "one that has gone meanwhile is left out"


def test_jobs_are_counted_by_their_names() -> None:
    jobs = [{"jobName": name} for name in "aabcdef"]
    assert selection._counted(jobs) == "7 jobs: a (2), b, c, d, 2 other names"
    assert selection._counted(jobs[:1]) == "1 job: a"
