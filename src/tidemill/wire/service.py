"""The services that are served: how each is recognised, and which codes it refuses input with.

The rest of wire/ works for any service of botocore's; only this table knows which of them are
ours. A test holds it to botocore's models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One service as it shows on the wire.

    `invalid` is the code for what breaks a constraint of the model, `missing` the one for a
    required member that is not there, where the service has its own for that. `unchecked_enums`
    are enumerations that the service itself checks, for it answers with a code of its own.
    """

    name: str
    signing_name: str
    invalid: str = "ValidationException"
    missing: str | None = None
    target_prefix: str | None = None
    api_version: str | None = None
    unchecked_enums: frozenset[str] = frozenset()


PROFILES: Final = (
    Profile(
        name="batch",
        signing_name="batch",
        invalid="ClientException",
        # Its values aren't case sensitive.
        unchecked_enums=frozenset({"RetryAction"}),
    ),
    Profile(
        name="logs",
        signing_name="logs",
        invalid="InvalidParameterException",
        target_prefix="Logs_20140328",
    ),
    Profile(
        name="s3",
        signing_name="s3",
        invalid="InvalidArgument",
        # The region of a server of one's own may have any name.
        unchecked_enums=frozenset({"BucketLocationConstraint"}),
    ),
    Profile(
        name="sts",
        signing_name="sts",
        invalid="ValidationError",
        api_version="2011-06-15",
    ),
    Profile(
        name="iam",
        signing_name="iam",
        invalid="ValidationError",
        api_version="2010-05-08",
    ),
    Profile(
        name="sqs",
        signing_name="sqs",
        invalid="InvalidParameterValue",
        missing="MissingParameter",
        target_prefix="AmazonSQS",
        api_version="2012-11-05",
        # An unknown attribute name is InvalidAttributeName there.
        unchecked_enums=frozenset(
            {
                "QueueAttributeName",
                "MessageSystemAttributeName",
                "MessageSystemAttributeNameForSends",
            }
        ),
    ),
    Profile(name="stepfunctions", signing_name="states", target_prefix="AWSStepFunctions"),
    Profile(name="events", signing_name="events", target_prefix="AWSEvents"),
    Profile(name="scheduler", signing_name="scheduler"),
    Profile(
        name="cloudwatch",
        signing_name="monitoring",
        invalid="ValidationError",
        target_prefix="GraniteServiceVersion20100801",
        api_version="2010-08-01",
    ),
    Profile(name="lambda", signing_name="lambda"),
)

BY_NAME: Final = {profile.name: profile for profile in PROFILES}
BY_SIGNING_NAME: Final = {profile.signing_name: profile for profile in PROFILES}
BY_TARGET_PREFIX: Final = {p.target_prefix: p for p in PROFILES if p.target_prefix}
BY_API_VERSION: Final = {p.api_version: p for p in PROFILES if p.api_version}

KNOWN: Final = ", ".join(profile.name for profile in PROFILES)


def profile_of(name: str) -> Profile:
    """The profile of a service; one that is not ours gets the codes most services share."""
    return BY_NAME.get(name) or Profile(name=name, signing_name=name)
