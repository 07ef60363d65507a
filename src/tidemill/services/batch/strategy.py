"""Retry strategies and timeouts, as definitions and submissions state them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tidemill.platform.limit import Limits
from tidemill.services.batch.command import RetryRule, RetryStrategy
from tidemill.services.batch.error import Refused

_PATTERN_MAX: Final = 512
_TEXT = re.compile(r"[A-Za-z0-9.:\s]*\*?")
_DIGITS = re.compile(r"[0-9]*\*?")
NO_RETRY: Final = RetryStrategy()


def retry_strategy(stated: Mapping[str, Any] | None, limits: Limits, member: str) -> RetryStrategy:
    """The strategy that AWS's `retryStrategy` states; one attempt where it states nothing."""
    if not stated:
        return NO_RETRY
    attempts = stated.get("attempts")
    rules = stated.get("evaluateOnExit") or ()
    if attempts is None and rules:
        raise Refused(f"{member}.attempts must be given where evaluateOnExit is.")
    if attempts is not None and not 1 <= attempts <= limits.attempts_max:
        raise Refused(
            f"{member}.attempts should be from 1 to {limits.attempts_max}; got {attempts}."
        )
    if len(rules) > limits.evaluate_on_exit_max:
        raise Refused(
            f"{member}.evaluateOnExit has at most {limits.evaluate_on_exit_max} entries; "
            f"got {len(rules)}."
        )
    return RetryStrategy(
        attempts=attempts or 1, rules=tuple(_rule(r, f"{member}.evaluateOnExit") for r in rules)
    )


def shown(strategy: RetryStrategy) -> dict[str, Any]:
    """The strategy as DescribeJobs shows it."""
    return {
        "attempts": strategy.attempts,
        "evaluateOnExit": [_shown_rule(rule) for rule in strategy.rules],
    }


def timeout_s(stated: Mapping[str, Any] | None, limits: Limits, member: str) -> int | None:
    """The seconds that AWS's `timeout` allows an attempt, or None for ever."""
    seconds = (stated or {}).get("attemptDurationSeconds")
    if seconds is None:
        return None
    if not limits.job_timeout_min_s <= seconds < 2**31:
        raise Refused(
            f"{member}.attemptDurationSeconds should be at least {limits.job_timeout_min_s} "
            f"seconds; got {seconds}."
        )
    return int(seconds)


def _rule(stated: Mapping[str, str], member: str) -> RetryRule:
    action = stated["action"].upper()
    if action not in ("RETRY", "EXIT"):
        raise Refused(f"{member}.action should be RETRY or EXIT; got {stated['action'][:50]!r}.")
    _check(stated.get("onExitCode"), _DIGITS, f"{member}.onExitCode", "digits")
    for name in ("onReason", "onStatusReason"):
        allowed = "letters, numbers, periods, colons and white space"
        _check(stated.get(name), _TEXT, f"{member}.{name}", allowed)
    return RetryRule(
        retry=action == "RETRY",
        exit_code=stated.get("onExitCode"),
        reason=stated.get("onReason"),
        status_reason=stated.get("onStatusReason"),
    )


def _check(pattern: str | None, allowed: re.Pattern[str], member: str, words: str) -> None:
    if pattern is not None and (len(pattern) > _PATTERN_MAX or not allowed.fullmatch(pattern)):
        raise Refused(
            f"{member} should be at most {_PATTERN_MAX} {words}, with at most one asterisk, at "
            f"the end; got {pattern[:150]!r}."
        )


def _shown_rule(rule: RetryRule) -> dict[str, str]:
    stated = {
        "onStatusReason": rule.status_reason,
        "onReason": rule.reason,
        "onExitCode": rule.exit_code,
    }
    given = {name: pattern for name, pattern in stated.items() if pattern is not None}
    return {**given, "action": "RETRY" if rule.retry else "EXIT"}
