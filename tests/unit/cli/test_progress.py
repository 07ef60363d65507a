"""What a job of the library says of its progress, in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli import progress
from tidemill.sdk import report
from tidemill.sdk.report import Report


def said(done: float, total: float | None = None, note: str = "", at_ms: int = 0) -> Report:
    return Report(done=done, total=total, note=note, at_ms=at_ms)


def job(url: str, **more: Any) -> dict[str, Any]:
    return {"jobId": "j", "status": "RUNNING", "parameters": {"results": url}, **more}


RUN = "s3://b/runs/7d/x/"


def test_words(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def read(_: Any, url: str, index: int | None) -> dict[int, Report]:
        asked.append((url, index))
        return {3: said(1, 4, "loading", 10), 5: said(7, None, "", 20)}

    monkeypatch.setattr(report, "read", read)
    array = {"arrayProperties": {"size": 9, "statusSummary": {}}}
    assert progress.note(job(f"{RUN}results/", **array)) == "5: 7 done", "the one that spoke last"
    child = {"arrayProperties": {"index": 2}}
    assert progress.note(job(f"{RUN}results/#1000", **child)) == "7 done"
    again = {"arrayProperties": {"index": 2}}
    assert progress.note(job(f"{RUN}results/#3,17,99-120@1", **again)) == "7 done"
    assert asked == [(RUN, None), (RUN, 1002), (RUN, 99)]


def test_percent_and_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "read", lambda *_: {0: said(30, 40, "loading")})
    assert progress.note(job(f"{RUN}results/")) == "75% (30 of 40), loading"


def test_who_can_say_nothing_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(report, "read")
    large = {"arrayProperties": {"size": 101, "statusSummary": {}}}
    assert progress.note(job("")) == ""
    assert progress.note(job(f"{RUN}results/", status="SUCCEEDED")) == ""
    assert progress.note(job(f"{RUN}results/", **large)) == ""
