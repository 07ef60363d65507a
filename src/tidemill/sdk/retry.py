"""Which failures of a function are worth another attempt, said in exit codes that Batch can match.

A service sees no exceptions, only how a process ended. So the worker ends with a code that stands
for what the function's rules say of an exception, and the job definition's `evaluateOnExit` says
what follows from each. The codes lie where neither `sysexits.h`, shells nor signals put theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tidemill.sdk import quantity

INTERRUPTED: Final = 75
"""Asked to end by SIGTERM, and ended where it can go on: `EX_TEMPFAIL` of `sysexits.h`."""
FAILED: Final = 1
"""An exception that no rule names."""
AGAIN: Final = 79
"""An exception that `retry_on` names."""
ENOUGH: Final = 80
"""An exception that `give_up_on` names."""
_RESERVED: Final = frozenset({INTERRUPTED, AGAIN, ENOUGH})
INTERRUPTED_TAG: Final = "tidemill:interrupted"
BACKOFF_TAG: Final = "tidemill:backoff"

Errors = tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a job is attempted, and after what.

    With `retry_on`, only these exceptions are tried again, with interruptions and attempts lost
    with their host; with `give_up_on`, all else is. With both, `give_up_on` names the exceptions
    from the rule, as `FileNotFoundError` among `OSError`. Running out of memory counts as a
    `MemoryError`. `backoff` is the first and the longest wait in seconds; the wait doubles.
    """

    attempts: int = 1
    retry_on: Errors = ()
    give_up_on: Errors = ()
    backoff: tuple[float, float] | None = None

    def strategy(self) -> dict[str, Any]:
        """The `retryStrategy` of RegisterJobDefinition: at most AWS's 5 conditions."""
        return {"attempts": self.attempts, "evaluateOnExit": list(self._conditions())}

    def _conditions(self) -> Iterable[dict[str, str]]:
        yield {"onExitCode": str(INTERRUPTED), "action": "RETRY"}
        if self.give_up_on and not self.retry_on:
            yield {"onExitCode": str(ENOUGH), "action": "EXIT"}
            if _names(self.give_up_on, MemoryError):
                yield {"onReason": "OutOfMemoryError*", "action": "EXIT"}
        if self.retry_on:
            yield {"onExitCode": str(AGAIN), "action": "RETRY"}
            yield {"onStatusReason": "Host EC2*", "action": "RETRY"}
            if _names(self.retry_on, MemoryError) and not _names(self.give_up_on, MemoryError):
                yield {"onReason": "OutOfMemoryError*", "action": "RETRY"}
            yield {"onReason": "*", "action": "EXIT"}

    def tags(self) -> dict[str, str]:
        """The tags of SubmitJob that say what AWS has no word for, and ignores."""
        tags = {INTERRUPTED_TAG: str(INTERRUPTED)}
        if self.backoff is not None:
            first_s, longest_s = self.backoff
            tags[BACKOFF_TAG] = f"{_text(first_s)}:{_text(longest_s)}"
        return tags

    def exit_code(self, error: BaseException) -> int:
        """The code to end with after this exception: 1 to 255.

        A `SystemExit` that no rule names keeps its own, where that is not one of the codes with a
        meaning here; those, 0 and what is no exit code count as failed.
        """
        if isinstance(error, self.give_up_on):
            return ENOUGH
        if isinstance(error, self.retry_on):
            return AGAIN
        given = error.code if isinstance(error, SystemExit) else None
        is_free = isinstance(given, int) and 0 < given < 256 and given not in _RESERVED
        return int(given) if is_free and given is not None else FAILED


def retry_of(
    attempts: int = 1,
    retry_on: object = (),
    give_up_on: object = (),
    backoff: object = None,
) -> Retry:
    """The rules as people write them: exception types alone or in a tuple; `backoff` as the first
    wait, or a tuple of the first and the longest (an hour if not given), as seconds, "90s" or a
    `timedelta`. Raises `ValueError` or `TypeError` that says what would be right.
    """
    if attempts < 1:
        raise ValueError(f"attempts={attempts!r} must be at least 1.")
    return Retry(
        attempts=attempts,
        retry_on=_errors(retry_on, "retry_on"),
        give_up_on=_errors(give_up_on, "give_up_on"),
        backoff=None if backoff is None else _backoff(backoff),
    )


def _errors(given: object, name: str) -> Errors:
    if given is None:
        return ()
    errors = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in errors):
        raise TypeError(
            f"{name}={given!r} must be an exception type, or a tuple of them: "
            f"{name}=(ConnectionError,)."
        )
    return errors


_LONGEST_S: Final = 3600.0


def _backoff(given: object) -> tuple[float, float]:
    first, longest = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    first_s = _seconds(first)
    longest_s = max(first_s, _LONGEST_S) if longest is None else _seconds(longest)
    if longest_s < first_s:
        raise ValueError(f"backoff={given!r} must not begin with the longest wait.")
    return first_s, longest_s


def _seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str | timedelta):
        raise TypeError(
            f'backoff={given!r} must be a time or two: 2, "30s" or (2, "10m"), the first wait '
            f"and the longest."
        )
    if isinstance(given, int | float) and given > 0:
        return float(given)
    return float(quantity.timeout_s(given, "backoff"))


def _text(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _names(errors: Errors, kind: type[BaseException]) -> bool:
    return issubclass(kind, errors)
