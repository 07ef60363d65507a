"""The operations on an object's tags."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.services.s3 import store
from tidemill.services.s3.context import Context, Params
from tidemill.services.s3.name import check_version, encode_key
from tidemill.services.s3.record import TAGS_MAX, check_tags


async def get_object_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """The object's tags, none included."""
    check_version(params.get("VersionId"))
    bucket = s3.bucket_of(params)
    record = await s3.existing(bucket, encode_key(params["Key"]))
    tags = record.head.tags.items()
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags]}


async def put_object_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """Replace the object's tags; the object itself and its time stay as they are."""
    return await _tag(s3, params, check_tags(params["Tagging"]["TagSet"], TAGS_MAX))


async def delete_object_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """Take all tags off the object."""
    return await _tag(s3, params, {})


async def _tag(s3: Context, params: Params, tags: dict[str, str]) -> dict[str, Any]:
    check_version(params.get("VersionId"))
    key = encode_key(params["Key"])
    s3.bucket_of(params)
    async with s3.writing(params["Bucket"], key, alone=True) as bucket:
        record = await s3.existing(bucket, key)
        head = msgspec.structs.replace(record.head, tags=tags)
        await s3.committer.commit(store.put_head(bucket.id, key, head))
    return {}
