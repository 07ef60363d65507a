"""The library's bucket: whether it is there, in the right region, and cleans up after itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tidemill.cli.finding import POLICY, Finding, code_of, failed, note, ok, unchecked, wrong
from tidemill.sdk.client import Connection
from tidemill.sdk.project import Project

NONE_SET: Final = "NoSuchLifecycleConfiguration"


def findings(connection: Connection, place: Project) -> Iterator[Finding]:
    """The bucket, and what removes old results from it."""
    name = bucket_of(connection, place)
    s3 = connection.client("s3")
    try:
        s3.head_bucket(Bucket=name)
    except Exception as error:  # noqa: BLE001 - `failed` raises what is no error of the world
        yield _no_bucket(name, error, connection)
        return
    yield ok("bucket", name)
    try:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    except Exception as error:  # noqa: BLE001 - see above
        if code_of(error) == NONE_SET:
            rules = []
        elif code_of(error) in {"AccessDenied", "403"}:
            yield unchecked("lifecycle", f"these credentials may not look at {name}'s rules")
            return
        else:
            yield failed("lifecycle", error, connection)
            return
    ours = [rule for rule in rules if _prefix(rule).startswith("runs/")]
    if ours:
        count = "1 rule removes" if len(ours) == 1 else f"{len(ours)} rules remove"
        yield ok("lifecycle", f"{count} what has been kept for its time")
    else:
        yield note("lifecycle", "no rule removes old results yet", "the next submission sets one")


def bucket_of(connection: Connection, place: Project) -> str:
    """The bucket that the library will use."""
    return place.bucket or f"tidemill-{connection.account}-{connection.region}"


def _prefix(rule: dict[str, object]) -> str:
    chosen = rule.get("Filter")
    inside = chosen.get("Prefix") if isinstance(chosen, dict) else None
    return str(inside or rule.get("Prefix") or "")


def _no_bucket(name: str, error: Exception, connection: Connection) -> Finding:
    match code_of(error):
        case "404" | "NoSuchBucket":
            return note("bucket", f"{name} is not there yet", "the first submission makes it")
        case "403" | "AccessDenied":
            return wrong("bucket", f"{name} is not open to these credentials", POLICY)
        case "301" | "400" | "PermanentRedirect":
            there = f"{name} is in another region than {connection.region}"
            return wrong("bucket", there, "name a bucket of this region, or that bucket's region")
        case _:
            return failed("bucket", error, connection)
