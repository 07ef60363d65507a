"""What S3 has and this server does not: harmless questions get true answers, the rest is refused.

Tools ask buckets for their policy, encryption or versioning before they do anything. Here the
answer is always that there is none, in the words S3 has for a bucket on which nothing was set.
"""

from __future__ import annotations

from typing import Any, Final

from tidemill.platform.fault import Fault
from tidemill.services.s3.context import Context, Params
from tidemill.services.s3.name import encode_key

ABSENT: Final = {
    "GetBucketCors": (
        "NoSuchCORSConfiguration",
        "The CORS configuration does not exist",
    ),
    "GetBucketEncryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "GetBucketPolicy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "GetBucketPolicyStatus": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    "GetPublicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
}
"""Questions about what was never set: S3's code and words for that."""

PLAIN: Final[dict[str, dict[str, Any]]] = {
    "GetBucketAccelerateConfiguration": {},
    "GetBucketLogging": {},
    "GetBucketNotification": {},
    "GetBucketNotificationConfiguration": {},
    "GetBucketOwnershipControls": {
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    },
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
    "GetBucketVersioning": {},
}
"""Questions whose answer is the same for every bucket."""


async def answer_plain(s3: Context, operation: str, params: Params) -> dict[str, Any]:
    """The answer of a bucket on which nothing was set, or the refusal of what is not offered."""
    if operation not in ABSENT and operation not in PLAIN:
        raise Fault(
            "NotImplemented",
            f"{operation} is not offered: buckets here hold objects, their metadata and tags, "
            "without versions, policies, ACLs or encryption settings.",
        )
    bucket = s3.bucket_of(params)
    if operation in ABSENT:
        code, message = ABSENT[operation]
        raise Fault(code, message, BucketName=bucket.name)
    return PLAIN[operation]


async def get_bucket_acl(s3: Context, params: Params) -> dict[str, Any]:
    """The account owns everything and nobody else may do anything."""
    s3.bucket_of(params)
    return _acl(s3)


async def get_object_acl(s3: Context, params: Params) -> dict[str, Any]:
    """As the bucket's, for an object that exists."""
    await s3.existing(s3.bucket_of(params), encode_key(params["Key"]))
    return _acl(s3)


def _acl(s3: Context) -> dict[str, Any]:
    grantee = {**s3.owner, "Type": "CanonicalUser"}
    return {"Owner": s3.owner, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}
