"""How long what lies in S3 of a run is kept: lifecycle rules of the bucket, one for each length.

What is kept for 7 days lies under `runs/7d/`, and a rule of that prefix removes it. Rules of others
in the same bucket stay as they are.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any, Final

from tidemill.sdk import quantity

DEFAULT_DAYS: Final = 7
FOREVER: Final = "runs/kept/"
_RULE: Final = "tidemill-keep-{days}d"


def prefix(days: int | None) -> str:
    """Where in the bucket lies what is kept for so many days; None for ever."""
    return FOREVER if days is None else f"runs/{days}d/"


def days_of(amount: float | str | timedelta | None) -> int | None:
    """Whole days, rounded up, of a `keep=`: "7d", a `timedelta` or seconds. None is for ever."""
    if amount is None:
        return None
    return -(-quantity.timeout_s(amount, "keep") // 86_400)


def keep(s3: Any, bucket: str, days: int) -> None:
    """See to it that the bucket has the rule for so many days.

    Who may not change the bucket's rules is warned, and what he submits is never removed. Raises
    boto3's error where there is no such bucket.
    """
    try:
        rules = _rules(s3, bucket)
        if any(rule.get("Filter", {}).get("Prefix") == prefix(days) for rule in rules):
            return
        rule = {
            "ID": _RULE.format(days=days),
            "Status": "Enabled",
            "Filter": {"Prefix": prefix(days)},
            "Expiration": {"Days": days},
        }
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": [*rules, rule]}
        )
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            raise
        warnings.warn(
            f"Results in the bucket {bucket} will not be removed after {days} days: its lifecycle "
            f"rules can't be set ({error}).",
            stacklevel=2,
        )


def _rules(s3: Any, bucket: str) -> list[dict[str, Any]]:
    try:
        found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return []
    rules: list[dict[str, Any]] = found.get("Rules", [])
    return rules
