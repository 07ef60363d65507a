"""The operations on buckets themselves."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from tidemill.platform.fault import Fault
from tidemill.services.s3 import store
from tidemill.services.s3.context import Context, Params, check_supported
from tidemill.services.s3.name import check_bucket_name
from tidemill.services.s3.record import check_tags
from tidemill.services.s3.store import Bucket

DEFAULT_REGION: Final = "us-east-1"
BUCKETS_PER_PAGE_MAX: Final = 10_000
BUCKET_TAGS_MAX: Final = 50


async def create_bucket(s3: Context, params: Params) -> dict[str, Any]:
    """Make a bucket; doing so again is no error in us-east-1 alone, as on AWS."""
    name = params["Bucket"]
    check_bucket_name(name)
    check_supported(params)
    configuration = params.get("CreateBucketConfiguration") or {}
    _check_location(s3.region, configuration.get("LocationConstraint"))
    tags = check_tags(configuration.get("Tags") or [], BUCKET_TAGS_MAX)
    async with s3.locks.alone(name):
        if name not in s3.buckets:
            bucket = Bucket(id=s3.blobs.new_number(), name=name, created_ms=s3.now_ms, tags=tags)
            await s3.committer.commit(store.put_bucket(bucket))
            s3.buckets[name] = bucket
        elif s3.region != DEFAULT_REGION:
            raise Fault(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
                BucketName=name,
            )
    return {"Location": f"/{name}", "BucketArn": _arn(name)}


async def delete_bucket(s3: Context, params: Params) -> dict[str, Any]:
    """Delete a bucket without objects; uploads under way in it are aborted."""
    name = params["Bucket"]
    async with s3.locks.alone(name):
        bucket = s3.bucket_of(params)
        if not await s3.index.is_empty(bucket.id):
            raise Fault(
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty: delete its objects first.",
                BucketName=name,
            )
        await s3.committer.commit(store.delete_bucket(bucket.id, s3.now_ms))
        del s3.buckets[name]
    return {}


async def head_bucket(s3: Context, params: Params) -> dict[str, Any]:
    """Say that a bucket exists, and where."""
    bucket = s3.bucket_of(params)
    return {"BucketRegion": s3.region, "BucketArn": _arn(bucket.name), "AccessPointAlias": False}


async def get_bucket_location(s3: Context, params: Params) -> dict[str, Any]:
    """The bucket's region; us-east-1 is told by saying nothing."""
    s3.bucket_of(params)
    return {} if s3.region == DEFAULT_REGION else {"LocationConstraint": s3.region}


async def list_buckets(s3: Context, params: Params) -> dict[str, Any]:
    """Buckets in order of their names, a page at a time where MaxBuckets asks for pages."""
    limit = params.get("MaxBuckets", BUCKETS_PER_PAGE_MAX)
    if not 1 <= limit <= BUCKETS_PER_PAGE_MAX:
        raise Fault(
            "InvalidArgument",
            f"MaxBuckets must be between 1 and {BUCKETS_PER_PAGE_MAX}, not {limit}.",
        )
    prefix, after = params.get("Prefix") or "", params.get("ContinuationToken") or ""
    elsewhere = params.get("BucketRegion") not in (None, s3.region)
    found = sorted(
        name for name in s3.buckets if name.startswith(prefix) and name > after and not elsewhere
    )
    page = found[:limit]
    answer: dict[str, Any] = {
        "Buckets": [_describe(s3, s3.buckets[name]) for name in page],
        "Owner": s3.owner,
    }
    if prefix:
        answer["Prefix"] = prefix
    if len(found) > limit:
        answer["ContinuationToken"] = page[-1]
    return answer


async def get_bucket_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """The bucket's tags, or NoSuchTagSet."""
    tags = s3.bucket_of(params).tags
    if not tags:
        raise Fault("NoSuchTagSet", "The TagSet does not exist", BucketName=params["Bucket"])
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]}


async def put_bucket_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """Replace the bucket's tags."""
    return await _tag(s3, params, check_tags(params["Tagging"]["TagSet"], BUCKET_TAGS_MAX))


async def delete_bucket_tagging(s3: Context, params: Params) -> dict[str, Any]:
    """Take all tags off the bucket."""
    return await _tag(s3, params, {})


async def _tag(s3: Context, params: Params, tags: dict[str, str]) -> dict[str, Any]:
    async with s3.locks.alone(params["Bucket"]):
        bucket = dataclasses.replace(s3.bucket_of(params), tags=tags)
        await s3.committer.commit(store.put_bucket(bucket))
        s3.buckets[bucket.name] = bucket
    return {}


def _describe(s3: Context, bucket: Bucket) -> dict[str, Any]:
    return {
        "Name": bucket.name,
        "CreationDate": bucket.created_ms / 1000,
        "BucketRegion": s3.region,
        "BucketArn": _arn(bucket.name),
    }


def _arn(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def _check_location(region: str, constraint: str | None) -> None:
    if constraint is None and region == DEFAULT_REGION:
        return
    if constraint != region:
        named = "unspecified" if constraint is None else constraint
        raise Fault(
            "IllegalLocationConstraintException",
            f"The {named} location constraint is incompatible for the region specific endpoint "
            f"this request was sent to: give {region} as LocationConstraint.",
        )
