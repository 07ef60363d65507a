"""Exceptions as exit codes, and what evaluateOnExit makes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tidemill.platform import limit
from tidemill.sdk.retry import Retry, retry_of
from tidemill.services.batch.attempt import AttemptEnd
from tidemill.services.batch.retry import Verdict, judge
from tidemill.services.batch.strategy import retry_strategy

EXITED = "Essential container in task exited"
LOST = AttemptEnd(stopped_ms=0, status_reason="Host EC2 (instance i-0) terminated.")
OUT_OF_MEMORY = AttemptEnd(
    stopped_ms=0,
    status_reason=EXITED,
    exit_code=137,
    reason="OutOfMemoryError: Container killed due to memory usage",
)
CRASHED = AttemptEnd(stopped_ms=0, status_reason=EXITED, exit_code=139)
INTERRUPTED = AttemptEnd(stopped_ms=0, status_reason=EXITED, exit_code=75)

PLAIN = retry_of(attempts=3)
ONLY = retry_of(attempts=3, retry_on=(ConnectionError,))
BUT = retry_of(attempts=3, give_up_on=ValueError)
BOTH = retry_of(attempts=3, retry_on=OSError, give_up_on=FileNotFoundError)
BROAD = retry_of(attempts=3, retry_on=Exception, give_up_on=(ValueError, MemoryError))


def is_tried_again(retry: Retry, end: AttemptEnd | BaseException) -> bool:
    """Whether the service's own rules try again, after the worker's own exit code."""
    if isinstance(end, BaseException):
        code = retry.exit_code(end)
        end = AttemptEnd(stopped_ms=0, status_reason=EXITED, exit_code=code)
    strategy = retry_strategy(retry.strategy(), limit.AWS, "retryStrategy")
    return judge(strategy, 1, end, is_stopped=False) is Verdict.RETRY


@pytest.mark.parametrize(
    ("end", "verdicts"),
    [  # under PLAIN, ONLY, BUT, BOTH, BROAD
        (ConnectionResetError(), (True, True, True, True, True)),
        (ValueError(), (True, False, False, False, False)),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), (True, False, False, False, False)),
        (FileNotFoundError(), (True, False, True, False, True)),
        (KeyError(), (True, False, True, False, True)),
        (SystemExit(3), (True, False, True, False, False)),
        (INTERRUPTED, (True, True, True, True, True)),
        (LOST, (True, True, True, True, True)),
        (CRASHED, (True, False, True, False, False)),
        (OUT_OF_MEMORY, (True, False, True, False, False)),
        (MemoryError(), (True, False, True, False, False)),
    ],
)
def test_what_is_tried_again(end: AttemptEnd | BaseException, verdicts: tuple[bool, ...]) -> None:
    rules = (PLAIN, ONLY, BUT, BOTH, BROAD)
    assert tuple(is_tried_again(retry, end) for retry in rules) == verdicts


def test_running_out_of_memory_is_a_memory_error() -> None:
    assert is_tried_again(retry_of(attempts=2, retry_on=MemoryError), OUT_OF_MEMORY)
    assert not is_tried_again(retry_of(attempts=2, give_up_on=MemoryError), OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("given", "code"), [(3, 3), (255, 255), (0, 1), (None, 1), ("no", 1), (256, 1), (-1, 1)]
)
def test_an_exit_keeps_its_own_code(given: object, code: int) -> None:
    assert PLAIN.exit_code(SystemExit(given)) == code


@pytest.mark.parametrize("code", [75, 79, 80])
def test_an_exit_is_never_taken_for_what_the_library_means(code: int) -> None:
    assert PLAIN.exit_code(SystemExit(code)) == 1
    assert retry_of(retry_on=SystemExit).exit_code(SystemExit(80)) == 79


@pytest.mark.parametrize(
    ("backoff", "tag"),
    [
        (2, "2:3600"),
        (5e6, "5000000:5000000"),
        (0.5, "0.5:3600"),
        ("2h", "7200:7200"),
        ((2, "10m"), "2:600"),
        ((timedelta(seconds=1), 1.5), "1:1.5"),
    ],
)
def test_backoff_is_a_tag(backoff: object, tag: str) -> None:
    assert retry_of(backoff=backoff).tags()["tidemill:backoff"] == tag


def test_an_interruption_is_told_apart_by_a_tag() -> None:
    assert PLAIN.tags() == {"tidemill:interrupted": "75"}


@pytest.mark.parametrize(
    ("rules", "kind", "told"),
    [
        ({"attempts": 0}, ValueError, "attempts=0 must be at least 1"),
        ({"retry_on": "ConnectionError"}, TypeError, "retry_on='ConnectionError' must be an exc"),
        ({"give_up_on": [ValueError]}, TypeError, "give_up_on=.* must be an exception type"),
        ({"give_up_on": int}, TypeError, "give_up_on=.* must be an exception type"),
        ({"backoff": (60, 2)}, ValueError, "must not begin with the longest"),
        ({"backoff": [2]}, TypeError, "must be a time or two"),
        ({"backoff": 0}, ValueError, "backoff=0 must be more than 0"),
    ],
)
def test_rules_that_make_no_sense(rules: dict, kind: type[Exception], told: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(kind, match=told):
        retry_of(**rules)
