"""The operations on log groups: make, list, keep for how long, tag, delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from tidemill.platform.fault import Fault
from tidemill.services.logs import store
from tidemill.services.logs.context import Context, Params, invalid, name_of
from tidemill.services.logs.store import Group
from tidemill.services.logs.token import read_text, write_text

GROUPS_PER_PAGE_MAX: Final = 50
TAGS_MAX: Final = 50
RETENTION_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip
_FILES_PER_STEP: Final = 100
_FOR_EVER_MS: Final = 1 << 62


async def create_log_group(logs: Context, params: Params) -> dict[str, Any]:
    """Make a group before anything is written to it; jobs make theirs themselves."""
    name = params["logGroupName"]
    if params.get("logGroupClass", "STANDARD") != "STANDARD" or params.get("kmsKeyId"):
        raise invalid("Log groups here are of the class STANDARD and without a KMS key.")
    if name in logs.groups:
        raise Fault("ResourceAlreadyExistsException", "The specified log group already exists")
    await _put(logs, Group(name=name, created_ms=logs.now_ms, tags=dict(params.get("tags") or {})))
    return {}


async def delete_log_group(logs: Context, params: Params) -> dict[str, Any]:
    """Delete a group with all of its output; one that running jobs write to stays."""
    name = params["logGroupName"]
    await logs.group(name)
    while await logs.expire(name, _FOR_EVER_MS, _FILES_PER_STEP):
        pass
    if await logs.read(lambda reader: next(reader.streams(name), None)) is not None:
        raise Fault(
            "OperationAbortedException",
            f"Jobs are still writing to {name}: what had ended is deleted; delete the group again "
            "when they have finished.",
        )
    logs.groups.pop(name, None)
    logs.deleted = {entry for entry in logs.deleted if entry[0] != name}
    await logs.committer.commit(store.delete_group(name))
    return {}


async def describe_log_groups(logs: Context, params: Params) -> dict[str, Any]:
    """Groups by name, a page at a time, by prefix, by any part of the name, or as named."""
    prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
    if prefix and pattern:
        raise invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive.")
    named = [name_of(identifier) for identifier in params.get("logGroupIdentifiers") or ()]
    found = [
        group
        for group in await logs.all_groups()
        if group.name.startswith(prefix or "")
        and (pattern or "").lower() in group.name.lower()
        and (not named or group.name in named)
        and params.get("logGroupClass", "STANDARD") == "STANDARD"
    ]
    page, answer = _page(found, params, GROUPS_PER_PAGE_MAX)
    return {"logGroups": [_describe(logs, group) for group in page], **answer}


async def list_log_groups(logs: Context, params: Params) -> dict[str, Any]:
    """Groups by name, those whose name holds one of the pattern's alternatives."""
    alternatives = (params.get("logGroupNamePattern") or "").split("|")
    found = [
        group
        for group in await logs.all_groups()
        if any(_holds(group.name, text) for text in alternatives)
        and params.get("logGroupClass", "STANDARD") == "STANDARD"
    ]
    page, answer = _page(found, params, GROUPS_PER_PAGE_MAX)
    entries = [
        {
            "logGroupName": group.name,
            "logGroupArn": logs.group_arn(group.name),
            "logGroupClass": "STANDARD",
        }
        for group in page
    ]
    return {"logGroups": entries, **answer}


async def put_retention_policy(logs: Context, params: Params) -> dict[str, Any]:
    """Keep a group's output for so many days instead of what the server is set to."""
    days = params["retentionInDays"]
    if days not in RETENTION_DAYS:
        allowed = ", ".join(map(str, RETENTION_DAYS))
        raise invalid(f"retentionInDays must be one of {allowed}, not {days}.")
    return await _set_retention(logs, params, days)


async def delete_retention_policy(logs: Context, params: Params) -> dict[str, Any]:
    """Keep a group's output for as long as the server is set to."""
    return await _set_retention(logs, params, None)


async def tag_resource(logs: Context, params: Params) -> dict[str, Any]:
    """Add tags to a group, by its ARN."""
    return await _tag(logs, name_of(params["resourceArn"]), params["tags"])


async def untag_resource(logs: Context, params: Params) -> dict[str, Any]:
    """Take tags off a group, by its ARN."""
    return await _untag(logs, name_of(params["resourceArn"]), params["tagKeys"])


async def list_tags_for_resource(logs: Context, params: Params) -> dict[str, Any]:
    """A group's tags, by its ARN."""
    return {"tags": (await logs.group(name_of(params["resourceArn"]))).tags}


async def tag_log_group(logs: Context, params: Params) -> dict[str, Any]:
    """Add tags to a group."""
    return await _tag(logs, params["logGroupName"], params["tags"])


async def untag_log_group(logs: Context, params: Params) -> dict[str, Any]:
    """Take tags off a group."""
    return await _untag(logs, params["logGroupName"], params["tags"])


async def list_tags_log_group(logs: Context, params: Params) -> dict[str, Any]:
    """A group's tags."""
    return {"tags": (await logs.group(params["logGroupName"])).tags}


async def _put(logs: Context, group: Group) -> None:
    logs.groups[group.name] = group
    await logs.committer.commit(store.put_group(group))


async def _set_retention(logs: Context, params: Params, days: int | None) -> dict[str, Any]:
    group = await logs.group(params["logGroupName"])
    await _put(logs, dataclasses.replace(group, retention_days=days))
    return {}


async def _tag(logs: Context, name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    group = await logs.group(name)
    merged = {**group.tags, **tags}
    if len(merged) > TAGS_MAX:
        raise Fault(
            "TooManyTagsException",
            f"A log group may have {TAGS_MAX} tags; {name} would have {len(merged)}.",
        )
    await _put(logs, dataclasses.replace(group, tags=merged))
    return {}


async def _untag(logs: Context, name: str, keys: list[str]) -> dict[str, Any]:
    group = await logs.group(name)
    kept = {key: value for key, value in group.tags.items() if key not in keys}
    await _put(logs, dataclasses.replace(group, tags=kept))
    return {}


def _page(found: list[Group], params: Params, most: int) -> tuple[list[Group], dict[str, Any]]:
    token, limit = params.get("nextToken"), params.get("limit") or most
    after = "" if token is None else read_text(token)
    rest = [group for group in found if group.name > after]
    page = rest[:limit]
    return page, {"nextToken": write_text(page[-1].name)} if len(rest) > limit else {}


def _holds(name: str, text: str) -> bool:
    return name.startswith(text[1:]) if text.startswith("^") else text in name


def _describe(logs: Context, group: Group) -> dict[str, Any]:
    arn = logs.group_arn(group.name)
    answer: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": False,
    }
    if group.retention_days is not None:
        answer["retentionInDays"] = group.retention_days
    return answer
