"""What S3 does on the wire that its model does not say.

Bucket names in the host, the names of root elements, statuses of error codes, an answer whose
root is its value. Sources: the S3 API reference, section by section as named below.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote_to_bytes

from tidemill.wire.request import HttpRequest

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

ROOTS: Final = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
"""Operations to the name of their answer's root element."""

_NEVER_HOISTED: Final = (
    b"x-amz-algorithm",
    b"x-amz-checksum-",
    b"x-amz-content-sha256",
    b"x-amz-credential",
    b"x-amz-date",
    b"x-amz-expires",
    b"x-amz-sdk-",
    b"x-amz-security-token",
    b"x-amz-signature",
    b"x-amz-signedheaders",
    b"x-amz-user-agent",
)

STATUSES: Final = {
    "AccessDenied": 403,
    "AccountProblem": 403,
    "AuthorizationHeaderMalformed": 400,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "ConditionalRequestConflict": 409,
    "EntityTooLarge": 400,
    "ExpiredToken": 400,
    "InvalidAccessKeyId": 403,
    "InvalidBucketState": 409,
    "InvalidObjectState": 403,
    "InvalidPartNumber": 416,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchBucketPolicy": 404,
    "NoSuchCORSConfiguration": 404,
    "NoSuchConfiguration": 404,
    "NoSuchKey": 404,
    "NoSuchLifecycleConfiguration": 404,
    "NoSuchPublicAccessBlockConfiguration": 404,
    "NoSuchTagSet": 404,
    "NoSuchUpload": 404,
    "NoSuchVersion": 404,
    "NoSuchWebsiteConfiguration": 404,
    "NotFound": 404,
    "NotImplemented": 501,
    "NotModified": 304,
    "ObjectLockConfigurationNotFoundError": 404,
    "OperationAborted": 409,
    "PermanentRedirect": 301,
    "PreconditionFailed": 412,
    "ReplicationConfigurationNotFoundError": 404,
    "RequestTimeTooSkewed": 403,
    "ServerSideEncryptionConfigurationNotFoundError": 404,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
}
"""Error codes to their status, from "Error responses"; all others are 400."""


def effective_path(request: HttpRequest) -> bytes:
    """The path with the bucket in it, also where the host named the bucket.

    `http://bucket.localhost/key` is `/bucket/key` ("Virtual hosting of buckets"). The final slash
    of `/bucket/` belongs to no key.
    """
    path = request.raw_path or b"/"
    if not path.startswith(b"/"):
        path = b"/" + path
    bucket = bucket_of_host(request.header(b"host") or b"")
    return b"/" + bucket + path if bucket else path


def with_hoisted_headers(request: HttpRequest) -> HttpRequest:
    """The request with those of S3's headers that a presigned URL has in its query string.

    SDKs put them there so that whoever has the URL need not send them. Checksums stay out: they
    are of the empty body that was there when the URL was made.
    """
    if b"Signature=" not in request.query or b"x-amz-" not in request.query.lower():
        return request
    hoisted = []
    for part in request.query.split(b"&"):
        name, _, value = part.partition(b"=")
        name = unquote_to_bytes(name).lower()
        if (
            name.startswith(b"x-amz-")
            and not name.startswith(_NEVER_HOISTED)
            and request.header(name) is None
        ):
            hoisted.append((name, unquote_to_bytes(value.replace(b"+", b" "))))
    if not hoisted:
        return request
    headers = [*request.headers, *hoisted]
    return HttpRequest(request.method, request.raw_path, request.query, headers, request.body)


def bucket_of_host(host: bytes) -> bytes:
    """The bucket in front of `.localhost` or `.s3.localhost`, or nothing."""
    name, _, port = host.partition(b":")
    if port and not port.isdigit():
        return b""
    bucket, dot, _ = name.lower().rpartition(b".localhost")
    if not dot or not name.lower().endswith(b".localhost") or bucket == b"s3":
        return b""
    return bucket.removesuffix(b".s3")


def bucket_location(result: dict[str, Any]) -> str:
    """GetBucketLocation's answer: its root is the value itself, empty for us-east-1."""
    place = result.get("LocationConstraint") or ""
    return f'<LocationConstraint xmlns="{NAMESPACE}">{place}</LocationConstraint>'
