"""The operations on a bucket's lifecycle rules, and what objects' answers say because of them.

All that AWS takes is taken where it does here what it does there. On a bucket without versions
the actions on noncurrent versions and delete markers do nothing on AWS either. Transitions are
refused: there is no other storage class that they could move anything to.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from datetime import datetime
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import quote

from tidemill.platform.fault import Fault
from tidemill.services.s3 import store
from tidemill.services.s3.context import Context, Params, malformed_xml
from tidemill.services.s3.record import TAGS_MAX, Record, check_tags
from tidemill.services.s3.rule import DAY_MS, predicates, read_lifecycle
from tidemill.services.s3.store import Bucket

RULES_MAX: Final = 1000
ID_LENGTH_MAX: Final = 255
DEFAULT_TRANSITION_MINIMUM: Final = "all_storage_classes_128K"

_ACTIONS: Final = (
    "AbortIncompleteMultipartUpload",
    "Expiration",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransitions",
)
_COUNTS: Final = (
    ("Expiration", "Days"),
    ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
    ("NoncurrentVersionExpiration", "NoncurrentDays"),
)
_DAY_S: Final = DAY_MS // 1000
_LAST_DATE_MS: Final = 253_402_300_799_000
"""The end of the year 9999: HTTP's dates reach no further."""


async def put_bucket_lifecycle(s3: Context, params: Params) -> dict[str, Any]:
    """Replace the bucket's rules; what is due by the new ones goes from now on."""
    rules = (params.get("LifecycleConfiguration") or {}).get("Rules") or []
    checked = _check_rules(rules)
    minimum = params.get("TransitionDefaultMinimumObjectSize") or DEFAULT_TRANSITION_MINIMUM
    said = {"Rules": checked, "TransitionDefaultMinimumObjectSize": minimum}
    await _set(s3, params, said)
    return {"TransitionDefaultMinimumObjectSize": minimum}


async def get_bucket_lifecycle(s3: Context, params: Params) -> dict[str, Any]:
    """The bucket's rules as they were put, or NoSuchLifecycleConfiguration."""
    bucket = s3.bucket_of(params)
    if bucket.lifecycle is None:
        raise Fault(
            "NoSuchLifecycleConfiguration",
            "The lifecycle configuration does not exist",
            BucketName=bucket.name,
        )
    return dict(bucket.lifecycle.said)


async def delete_bucket_lifecycle(s3: Context, params: Params) -> dict[str, Any]:
    """Take all rules off the bucket; that it has none is no error."""
    await _set(s3, params, None)
    return {}


def expiration(bucket: Bucket, key: bytes, record: Record) -> dict[str, str]:
    """The member that says when an object expires, and by which rule; empty where it does not."""
    if bucket.lifecycle is None:
        return {}
    due = bucket.lifecycle.expiry(key, record.size, record.head.tags, record.modified_ms)
    if due is None or due.at_ms > _LAST_DATE_MS:
        return {}
    date = formatdate(due.at_ms // 1000, usegmt=True)
    return {"Expiration": f'expiry-date="{date}", rule-id="{quote(due.rule_id, safe="")}"'}


def abortion(bucket: Bucket, key: bytes, begun_ms: int) -> dict[str, Any]:
    """The members that say when an upload is aborted, and by which rule; or none."""
    due = bucket.lifecycle.abortion(key, begun_ms) if bucket.lifecycle is not None else None
    if due is None or due.at_ms > _LAST_DATE_MS:
        return {}
    return {"AbortDate": due.at_ms // 1000, "AbortRuleId": due.rule_id}


async def _set(s3: Context, params: Params, said: Mapping[str, Any] | None) -> None:
    s3.bucket_of(params)
    async with s3.locks.alone(params["Bucket"]):
        lifecycle = None if said is None else read_lifecycle(said)
        bucket = dataclasses.replace(s3.bucket_of(params), lifecycle=lifecycle)
        await s3.committer.commit(store.put_bucket(bucket))
        s3.buckets[bucket.name] = bucket
    s3.lifecycle_changed(bucket.name)


def _check_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules as they are kept: each with an ID, dates as seconds since 1970."""
    if not 1 <= len(rules) <= RULES_MAX:
        raise malformed_xml(f"a configuration has 1 to {RULES_MAX:,} rules, not {len(rules):,}")
    checked = [_check_rule(rule) for rule in rules]
    if len({rule["ID"] for rule in checked}) != len(checked):
        raise _invalid("Rule ID must be unique. Found same ID for more than one rule")
    if len({"Filter" in rule for rule in checked}) > 1:
        raise _refused(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the "
            "Filter."
        )
    return checked


def _check_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    given = rule.get("ID")
    label = f"the rule {given!r}" if given else "a rule without an ID"
    name = given or secrets.token_urlsafe(36)
    if len(name) > ID_LENGTH_MAX:
        raise _invalid(f"ID length should not exceed allowed limit of {ID_LENGTH_MAX}")
    if rule.get("Status") not in ("Enabled", "Disabled"):
        raise malformed_xml(f"the Status of {label} must be Enabled or Disabled")
    _check_scope(rule, label)
    _check_actions(rule, label)
    kept = {**rule, "ID": name}
    if isinstance(date := (rule.get("Expiration") or {}).get("Date"), datetime):
        kept["Expiration"] = {"Date": _midnight(date)}
    return kept


def _check_scope(rule: Mapping[str, Any], label: str) -> None:
    """Refuse a rule that does not say clearly which objects it is about."""
    if ("Prefix" in rule) == ("Filter" in rule):
        raise malformed_xml(f"{label} needs a Filter, which may be empty, or a Prefix")
    if len(rule.get("Filter") or {}) > 1:
        raise malformed_xml(f"several conditions in the Filter of {label} stand in And")
    about = predicates(rule)
    check_tags(about.get("Tags", []), TAGS_MAX)
    larger, smaller = about.get("ObjectSizeGreaterThan"), about.get("ObjectSizeLessThan")
    if any(size is not None and size < 0 for size in (larger, smaller)):
        raise _invalid("'ObjectSizeGreaterThan' and 'ObjectSizeLessThan' must not be negative")
    if larger is not None and smaller is not None and larger >= smaller:
        raise _refused(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        )
    if "AbortIncompleteMultipartUpload" in rule:
        if "Tags" in about:
            raise _refused("AbortIncompleteMultipartUpload cannot be specified with Tags.")
        if larger is not None or smaller is not None:
            raise _refused("AbortIncompleteMultipartUpload cannot be specified with Object Size.")


def _check_actions(rule: Mapping[str, Any], label: str) -> None:
    if rule.get("Transitions"):
        raise Fault(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented: there is one "
            f"storage class here, so leave the transitions out of {label}.",
        )
    if not any(rule.get(action) is not None for action in _ACTIONS):
        raise _refused("At least one action needs to be specified in a rule")
    if len(rule.get("Expiration", {"Days": 1})) != 1:
        raise malformed_xml(
            f"the Expiration of {label} takes one of Days, Date and ExpiredObjectDeleteMarker"
        )
    for action, member in _COUNTS:
        days = (rule.get(action) or {}).get(member)
        if days is not None and days < 1:
            raise _invalid(f"'{member}' for {action} action must be a positive integer")
    if rule.get("AbortIncompleteMultipartUpload") == {}:
        raise malformed_xml(f"{label} must say DaysAfterInitiation")


def _midnight(date: datetime) -> int:
    seconds = int(date.timestamp())
    if seconds % _DAY_S or date.microsecond:
        raise _invalid("'Date' must be at midnight GMT")
    return seconds


def _invalid(message: str) -> Fault:
    return Fault("InvalidArgument", message)


def _refused(message: str) -> Fault:
    return Fault("InvalidRequest", message)
