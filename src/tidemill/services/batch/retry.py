"""Whether an attempt that ended is the job's end, and which.

The rules of evaluateOnExit are taken in order and the first that matches decides; where none
does, the job is tried again while attempts are left (AWS Batch user guide, "Automated job
retries"). What was stopped on purpose is never tried again. What was interrupted, as its job
says it (`extension`), runs again before any of that is looked at.
"""

from __future__ import annotations

from enum import Enum

from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.command import RetryRule, RetryStrategy
from tidemill.services.batch.extension import INTERRUPTIONS_MAX


class Verdict(Enum):
    """What an attempt's end means for its job."""

    SUCCEED = "succeed"
    RETRY = "retry"
    RESUME = "run again without counting"
    FAIL = "fail"


def judge(
    strategy: RetryStrategy,
    attempt: int,
    end: AttemptEnd,
    *,
    is_stopped: bool,
    interrupted: int | None = None,
    interruptions: int = 0,
) -> Verdict:
    """What comes after attempt number `attempt`; `is_stopped`: it may not go on in any case.

    `interrupted` is the exit code that does not count, `interruptions` how many of the attempts
    before this one did not.
    """
    if is_stopped:
        return Verdict.FAIL
    if end.exit_code == 0:
        return Verdict.SUCCEED
    was_interrupted = interrupted is not None and end.exit_code == interrupted
    if was_interrupted and interruptions < INTERRUPTIONS_MAX:
        return Verdict.RESUME
    if attempt - interruptions >= strategy.attempts:
        return Verdict.FAIL
    for rule in strategy.rules:
        if _applies(rule, end):
            return Verdict.RETRY if rule.retry else Verdict.FAIL
    return Verdict.RETRY


def _applies(rule: RetryRule, end: AttemptEnd) -> bool:
    exit_code = "" if end.exit_code is None else str(end.exit_code)
    return (
        _matches(rule.exit_code, exit_code)
        and _matches(rule.reason, end.reason)
        and _matches(rule.status_reason, end.status_reason)
    )


def _matches(pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
