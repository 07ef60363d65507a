"""How each kind of service words that it does not believe a signature.

Query services (IAM, STS, and SQS with its history), JSON services and S3 have different codes for
the same thing; S3 adds members that SDKs act upon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tidemill.wire.error import WireError, shorten

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The codes of one kind of service."""

    unauthenticated: str
    unknown: str
    bad_signature: str
    bad_time: str
    bad_form: str
    bad_region: str
    late: str
    bad_expires: str

    def unsigned(self) -> WireError:
        """The request has no signature."""
        return WireError(
            self.unauthenticated,
            "Request is missing Authentication Token: sign it with an access key "
            "(`tidemill config` prints one).",
        )

    def unknown_key(self, access_key: str, token: str | None) -> WireError:
        """There is no such key, or its token is not ours or has expired."""
        kind = "session token" if token is not None else "access key"
        return WireError(
            self.unknown,
            f"The security token included in the request is invalid: the {kind} of "
            f"'{shorten(access_key)}' is not known here, or no longer.",
            members={"AWSAccessKeyId": access_key} if self is S3 else None,
        )

    def mismatch(self) -> WireError:
        """The signature is another than the secret key makes."""
        return WireError(self.bad_signature, _MISMATCH)

    def incomplete(self, message: str) -> WireError:
        """Something that a signature needs is not there or cannot be read."""
        return WireError(self.bad_form, message)

    def bad_scope(self, message: str) -> WireError:
        """The credential scope does not fit the request."""
        return WireError(self.bad_signature, message)

    def wrong_region(self, signed: str, ours: str) -> WireError:
        """The request is signed for another region than this server's."""
        signed = shorten(signed)
        if self is S3:
            return WireError(
                self.bad_region,
                f"The authorization header is malformed; the region '{signed}' is wrong; "
                f"expecting '{ours}'",
                members={"Region": ours},
            )
        return WireError(
            self.bad_region,
            f"Credential should be scoped to a valid region, not '{signed}': "
            f"this server's region is '{ours}'.",
        )

    def skewed(self, stamp: str, moment: datetime, now: datetime, skew: timedelta) -> WireError:
        """The clocks of client and server differ too much."""
        if self is S3:
            return WireError(
                self.bad_time,
                "The difference between the request time and the current time is too large: "
                f"the request says {stamp}, it is {_stamp(now)}.",
                members={
                    "RequestTime": stamp,
                    "ServerTime": _iso(now),
                    "MaxAllowedSkewMilliseconds": str(int(skew.total_seconds() * 1000)),
                },
            )
        minutes = int(skew.total_seconds() // 60)
        if moment < now:
            return WireError(
                self.bad_time,
                f"Signature expired: {stamp} is now earlier than {_stamp(now - skew)} "
                f"({_stamp(now)} - {minutes} min.)",
            )
        return WireError(
            self.bad_time,
            f"Signature not yet current: {stamp} is still later than {_stamp(now + skew)} "
            f"({_stamp(now)} + {minutes} min.)",
        )

    def expired(self, until: datetime, now: datetime) -> WireError:
        """The time of a presigned URL is over."""
        if self is S3:
            return WireError(
                self.late,
                f"Request has expired: it was valid until {_iso(until)}.",
                members={"Expires": _iso(until), "ServerTime": _iso(now)},
            )
        return WireError(
            self.late, f"Signature expired: {_stamp(until)} is now earlier than {_stamp(now)}."
        )

    def not_yet(self, moment: datetime, now: datetime) -> WireError:
        """The time of a presigned URL has not come."""
        return WireError(
            self.late,
            f"Request is not valid yet: it is dated {_stamp(moment)}, it is {_stamp(now)}.",
        )

    def bad_expiry(self, message: str) -> WireError:
        """X-Amz-Expires makes no sense."""
        return WireError(self.bad_expires, message)


JSON: Final = Refusal(
    unauthenticated="MissingAuthenticationTokenException",
    unknown="UnrecognizedClientException",
    bad_signature="InvalidSignatureException",
    bad_time="InvalidSignatureException",
    bad_form="IncompleteSignatureException",
    bad_region="InvalidSignatureException",
    late="InvalidSignatureException",
    bad_expires="IncompleteSignatureException",
)
QUERY: Final = Refusal(
    unauthenticated="MissingAuthenticationToken",
    unknown="InvalidClientTokenId",
    bad_signature="SignatureDoesNotMatch",
    bad_time="SignatureDoesNotMatch",
    bad_form="IncompleteSignature",
    bad_region="SignatureDoesNotMatch",
    late="SignatureDoesNotMatch",
    bad_expires="IncompleteSignature",
)
S3: Final = Refusal(
    unauthenticated="AccessDenied",
    unknown="InvalidAccessKeyId",
    bad_signature="SignatureDoesNotMatch",
    bad_time="RequestTimeTooSkewed",
    bad_form="AuthorizationHeaderMalformed",
    bad_region="AuthorizationHeaderMalformed",
    late="AccessDenied",
    bad_expires="AuthorizationQueryParametersError",
)
_OTHERS: Final = {"s3": S3, "iam": QUERY, "sts": QUERY, "sqs": QUERY, "monitoring": QUERY}


def refusal_for(signing_name: str | None) -> Refusal:
    """The wording for a service's signing name."""
    return _OTHERS.get(signing_name or "", JSON)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
