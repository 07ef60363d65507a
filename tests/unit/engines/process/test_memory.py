"""The watch over memory while the machine has nothing to look through."""

from __future__ import annotations

import errno
import os

import pytest

from tidemill.engines.process.memory import INTERVAL_S, Watch


def test_a_look_without_files_finds_nothing_and_is_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(path: str) -> list[str]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    watch = Watch()
    with monkeypatch.context() as patch:
        patch.setattr("os.listdir", refuse)
        assert watch.look([]) == ([], INTERVAL_S)
    assert watch.look([])[0] == []
