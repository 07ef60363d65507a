"""What things are called: which names are allowed, and how names and ARNs turn into each other.

Inside Batch everything is known by its plain name; ARNs exist at the border only.
"""

from __future__ import annotations

import re
from enum import StrEnum

from tidemill.platform.arn import Arn
from tidemill.services.batch.error import Refused

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SHARE = re.compile(r"[A-Za-z0-9]{1,255}\*?")
_DEFINITION = re.compile(r"([A-Za-z0-9_-]{1,128})(?::([0-9]{1,9}))?")


class Kind(StrEnum):
    """The kinds of things that have ARNs, as the ARN spells them."""

    QUEUE = "job-queue"
    ENVIRONMENT = "compute-environment"
    POLICY = "scheduling-policy"
    CONSUMABLE = "consumable-resource"
    DEFINITION = "job-definition"
    JOB = "job"


class Names:
    """Makes and takes apart the ARNs of one account in one region."""

    __slots__ = ("_account", "_prefix", "_region")

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._prefix = str(Arn("batch", region, account, ""))

    def arn(self, kind: Kind, name: str) -> str:
        """The ARN of `name`; a definition's name has its revision with it (`name:3`)."""
        return f"{self._prefix}{kind.value}/{name}"

    def cluster_arn(self, name: str) -> str:
        """The ARN of an ECS cluster, which AWS shows of a compute environment."""
        return str(Arn("ecs", self._region, self._account, f"cluster/{name}"))

    def plain(self, kind: Kind, text: str, member: str) -> str:
        """The plain name in `text`, which is a name or an ARN of this account, region and kind."""
        if not text.startswith("arn:"):
            return text
        found, name = self.split(text, member)
        if found is not kind:
            raise Refused(f"{member}: {text} is the ARN of a {found}, not of a {kind}.")
        return name

    def split(self, arn: str, member: str) -> tuple[Kind, str]:
        """The kind and the name that an ARN of this account and region stands for."""
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "batch":
            raise Refused(f"{member}: {arn} is not the ARN of a Batch resource.")
        if parsed.region != self._region or parsed.account != self._account:
            raise Refused(
                f"{member}: {arn} belongs to region {parsed.region} and account {parsed.account}; "
                f"this is {self._region} and {self._account}."
            )
        kind, _, name = parsed.resource.partition("/")
        if kind not in set(Kind) or not name:
            raise Refused(f"{member}: {arn} is not the ARN of a Batch resource.")
        return Kind(kind), name


def check_name(name: str, member: str) -> None:
    """Refuse what is no name for a queue, environment, policy, definition or consumable."""
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{member} should match valid pattern: 1 to 128 letters, numbers, "
            f"hyphens and underscores; got {_shown(name)}."
        )


def check_job_name(name: str) -> None:
    """Refuse what is no name for a job: it also begins with a letter or a number."""
    if not _JOB_NAME.fullmatch(name):
        raise Refused(
            "jobName should match valid pattern: 1 to 128 letters, numbers, hyphens and "
            f"underscores, the first a letter or a number; got {_shown(name)}."
        )


def check_share(identifier: str, member: str) -> None:
    """Refuse what is no share identifier; a trailing `*` belongs to it."""
    if not _SHARE.fullmatch(identifier):
        raise Refused(
            f"{member} should be up to 255 letters and numbers, which an asterisk may follow; "
            f"got {_shown(identifier)}."
        )


def split_revision(text: str, member: str) -> tuple[str, int | None]:
    """`name:3` as name and revision; the revision is None where there is none."""
    match = _DEFINITION.fullmatch(text)
    if match is None:
        raise Refused(
            f"{member} should be a job definition's name, name:revision or ARN; got {_shown(text)}."
        )
    return match[1], int(match[2]) if match[2] else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 150 else text[:147] + "...")
