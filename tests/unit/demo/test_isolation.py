"""What hangs, crashes or ends the program harms nothing but itself."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from tidemill.demo.isolation import Broken, isolated


def _hang() -> str:
    threading.Event().wait()
    return ""


def _crash() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_what_is_returned_comes_back() -> None:
    assert isolated(lambda: "é" * 200_000, 30.0) == "é" * 200_000


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda: sys.exit("goodbye"), "SystemExit: goodbye"),
        (lambda: str(1 / 0), "ZeroDivisionError: division by zero"),
        (_crash, "crashed with signal 9"),
        (lambda: os._exit(3), "ended the program with exit code 3"),  # type: ignore[func-returns-value]
    ],
)
def test_how_it_broke_is_told(work: object, told: str) -> None:
    with pytest.raises(Broken, match=told):
        isolated(work, 30.0)  # type: ignore[arg-type]  # some of them never return


def test_what_hangs_is_ended() -> None:
    with pytest.raises(Broken, match=r"still busy after 0.2 s"):
        isolated(_hang, 0.2)
