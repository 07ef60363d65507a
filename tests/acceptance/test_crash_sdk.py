"""kill -9 of the server, its runner and its warm interpreters while the library maps."""

from __future__ import annotations

import crash_work
import pytest
from crash_attempt import check_lost_and_run_again
from crash_lab import DEADLINE_S, FIRST, IS_LONG, SEEDS, CrashLab, crash_lab

from tidemill.sdk import client


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_a_map_gives_every_result_whatever_dies(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 200
    with crash_lab(seed) as lab:
        monkeypatch.chdir(lab.witness.folder)
        before = client.use(lab.server.connection())
        try:
            squares = crash_work.square.map(range(size))
            deaths = [_server, CrashLab.kill_runner, CrashLab.kill_warm] * (4 if IS_LONG else 1)
            lab.random.shuffle(deaths)
            goals = sorted(lab.random.sample(range(10, size - 50), len(deaths)))
            for goal, death in zip(goals, deaths, strict=True):
                lab.after_jobs(goal)
                death(lab)
            assert squares.result(timeout=DEADLINE_S) == [item * item for item in range(size)]
        finally:
            client.use(before)
        check_lost_and_run_again(lab.witness, lab.succeeded(squares.id, size))


def _server(lab: CrashLab) -> None:
    lab.kill_server()
    lab.start()
