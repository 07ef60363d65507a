"""The library's place in S3: one bucket for each account and region, made when first written to.

Everything is addressed by `s3://` URLs, so that a job needs nothing but its arguments.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import RawIOBase
from typing import Any

from tidemill.sdk import expiry
from tidemill.sdk.client import Connection

READERS = 8


def split(url: str) -> tuple[str, str]:
    """The bucket and the key of an `s3://` URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def name_of(connection: Connection, bucket: str | None) -> str:
    """The bucket's name: as given, or the one of this account and region."""
    return bucket or f"tidemill-{connection.account}-{connection.region}"


def new_run_url(name: str, keep_days: int | None) -> str:
    """Where all that belongs to one new run will lie; sorts by time within its days of keeping."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return f"s3://{name}/{expiry.prefix(keep_days)}{moment}-{os.urandom(6).hex()}/"


def put(connection: Connection, url: str, body: bytes | RawIOBase) -> None:
    """Write one object; the bucket is made when it is not there yet."""
    s3 = connection.client("s3")
    bucket, key = split(url)
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        _make(s3, bucket)
        if isinstance(body, RawIOBase):
            body.seek(0)
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def put_new(connection: Connection, url: str, body: bytes) -> str | None:
    """Write one object where there is none, and give its ETag; None where there is one already."""
    return _put_if(connection, url, body, {"IfNoneMatch": "*"})


def replace(connection: Connection, url: str, body: bytes, tag: str) -> str | None:
    """Write an object anew if it still is the one with this ETag, and give its new one."""
    return _put_if(connection, url, body, {"IfMatch": tag})


def _put_if(connection: Connection, url: str, body: bytes, condition: dict[str, str]) -> str | None:
    s3 = connection.client("s3")
    bucket, key = split(url)
    try:
        tag: str = s3.put_object(Bucket=bucket, Key=key, Body=body, **condition)["ETag"]
    except s3.exceptions.ClientError as error:
        match error.response["Error"]["Code"]:
            case "PreconditionFailed" | "ConditionalRequestConflict":
                return None
            case "NoSuchBucket":
                _make(s3, bucket)
                return _put_if(connection, url, body, condition)
            case "NoSuchKey" if "IfMatch" in condition:
                return None
        raise
    return tag


def _make(s3: Any, bucket: str) -> None:
    region = s3.meta.region_name
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # another was first
        s3.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else place))
        expiry.keep(s3, bucket, expiry.DEFAULT_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object, and how long ago it was written, by the store's own clock."""

    body: bytes
    tag: str
    age_s: float


def find(connection: Connection, url: str) -> Found | None:
    """The object, or None where there is none."""
    s3 = connection.client("s3")
    bucket, key = split(url)
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    from email.utils import parsedate_to_datetime

    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(told) if told else datetime.now(UTC)
    age_s = (now - answer["LastModified"]).total_seconds()
    return Found(body=answer["Body"].read(), tag=answer["ETag"], age_s=age_s)


def get(connection: Connection, url: str, span: tuple[int, int] | None = None) -> bytes:
    """An object's bytes, or those from `span[0]` up to but without `span[1]`."""
    bucket, key = split(url)
    ranged = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
    answer = connection.client("s3").get_object(Bucket=bucket, Key=key, **ranged)
    body: bytes = answer["Body"].read()
    return body


def get_if_small(connection: Connection, url: str, at_most_bytes: int) -> bytes | None:
    """An object's bytes, or None, without reading it, when it is larger than that."""
    bucket, key = split(url)
    answer = connection.client("s3").get_object(Bucket=bucket, Key=key)
    with contextlib.closing(answer["Body"]) as body:
        small: bytes | None = body.read() if answer["ContentLength"] <= at_most_bytes else None
        return small


def keep(connection: Connection, name: str, days: int) -> None:
    """See to it that what is kept so many days is removed then; makes the bucket if need be."""
    s3 = connection.client("s3")
    try:
        expiry.keep(s3, name, days)
    except s3.exceptions.NoSuchBucket:
        _make(s3, name)
        expiry.keep(s3, name, days)


def get_many(connection: Connection, urls: list[str]) -> list[bytes]:
    """Several objects at once, in the order of `urls`."""
    if len(urls) < 2:
        return [get(connection, url) for url in urls]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda url: get(connection, url), urls))


def names(connection: Connection, url: str) -> Iterator[str]:
    """What follows `url` in the keys of all objects that begin with it, in order."""
    bucket, prefix = split(url)
    pages = connection.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield item["Key"][len(prefix) :]
