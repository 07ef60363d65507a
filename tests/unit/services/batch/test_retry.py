"""Which end of an attempt is the job's end, by evaluateOnExit and the attempts left."""

from __future__ import annotations

import pytest
from batch_world import World

from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.command import RetryRule, RetryStrategy
from tidemill.services.batch.reason import host_terminated
from tidemill.services.batch.retry import Verdict, judge

SPOT = RetryStrategy(3, (RetryRule(True, status_reason="Host EC2*"), RetryRule(False, reason="*")))


def end(exit_code: int | None, reason: str = "", status_reason: str = "exited") -> AttemptEnd:
    return AttemptEnd(stopped_ms=1, exit_code=exit_code, reason=reason, status_reason=status_reason)


def rule(retry: bool = True, **patterns: str) -> RetryStrategy:
    return RetryStrategy(5, (RetryRule(retry, **patterns), RetryRule(not retry, exit_code="*")))


@pytest.mark.parametrize(
    ("strategy", "attempt", "ended", "verdict"),
    [
        (RetryStrategy(1), 1, end(0), Verdict.SUCCEED),
        (RetryStrategy(1), 1, end(1), Verdict.FAIL),
        (RetryStrategy(2), 1, end(1), Verdict.RETRY),
        (RetryStrategy(2), 2, end(1), Verdict.FAIL),
        (RetryStrategy(2), 1, end(None), Verdict.RETRY),
        (SPOT, 1, end(None, status_reason=host_terminated("local")), Verdict.RETRY),
        (SPOT, 3, end(None, status_reason=host_terminated("local")), Verdict.FAIL),
        (SPOT, 1, end(1), Verdict.FAIL),
        (rule(exit_code="137"), 1, end(137), Verdict.RETRY),
        (rule(exit_code="137"), 1, end(13), Verdict.FAIL),
        (rule(exit_code="13*"), 1, end(137), Verdict.RETRY),
        (rule(exit_code="13*"), 1, end(14), Verdict.FAIL),
        (rule(reason="OutOf*", exit_code="137"), 1, end(137, "OutOfMemoryError: x"), Verdict.RETRY),
        (rule(reason="OutOf*", exit_code="1"), 1, end(137, "OutOfMemoryError: x"), Verdict.FAIL),
        (rule(False, reason="Cannot*"), 1, end(None, "CannotStart"), Verdict.FAIL),
        (
            RetryStrategy(2, (RetryRule(False, exit_code="9"),)),
            1,
            end(1),
            Verdict.RETRY,
        ),
    ],
)
def test_rules(strategy: RetryStrategy, attempt: int, ended: AttemptEnd, verdict: Verdict) -> None:
    assert judge(strategy, attempt, ended, is_stopped=False) is verdict


def test_what_was_stopped_is_not_tried_again() -> None:
    assert judge(RetryStrategy(3), 1, end(1), is_stopped=True) is Verdict.FAIL
    assert judge(RetryStrategy(3), 1, end(0), is_stopped=True) is Verdict.FAIL


def test_retried_job_goes_back_to_runnable_and_keeps_its_attempts() -> None:
    world = World(vcpus=1)
    job, other = world.submit(retry=RetryStrategy(3)), world.submit()
    world.run(job, code=1)
    assert world.state(job) == "STARTING", "it is older than the other, so it is its turn again"
    world.run(job, code=2, attempt=2)
    world.restart()
    world.run(job, attempt=3)
    codes = [each.container.exit_code for each in world.attempts(job)]
    assert codes == [1, 2, 0]
    assert world.state(job) == "SUCCEEDED"
    assert world.state(other) == "STARTING"


def test_lost_attempt_has_the_reason_that_spot_rules_look_for() -> None:
    world = World()
    job = world.submit(retry=SPOT)
    world.started(job)
    world.lost(job)
    (attempt,) = world.attempts(job)
    assert attempt.status_reason.startswith("Host EC2 (instance i-")
    assert attempt.status_reason.endswith(") terminated.")
    assert world.take_starts() == [f"{job}/1", f"{job}/2"]


def test_terminated_job_is_not_tried_again_even_when_it_is_lost() -> None:
    world = World()
    job = world.submit(retry=RetryStrategy(3))
    world.started(job)
    world.terminate(job, "enough")
    world.restart()
    assert world.take_stops() == [f"{job}/1"], "the order is given again after a restart"
    world.lost(job)
    assert world.state(job) == "FAILED"
    assert world.reason(job) == "enough"
    assert world.job(job).progress.is_terminated
