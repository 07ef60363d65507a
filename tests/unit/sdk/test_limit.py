"""What AWS would refuse of a function's needs is refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.sdk import limit
from tidemill.sdk.definition import Needs
from tidemill.sdk.error import SubmitError
from tidemill.sdk.project import Project
from tidemill.sdk.retry import Retry

FARGATE = Project(platform="FARGATE")


@pytest.mark.parametrize(
    ("needs", "place", "told"),
    [
        (Needs(timeout_s=5), Project(), "timeout=5 s, and AWS takes no less than 60"),
        (Needs(retry=Retry(attempts=11)), Project(), "attempts=11, and AWS takes at most 10"),
        (Needs(vcpus="0.5"), Project(), "vcpus=0.5, and on EC2 AWS takes whole ones only"),
        (Needs(), FARGATE, r"memory=512 MiB beside 1 vCPU.*give it 2048 \(2048 to 8192 MiB"),
        (Needs(memory_mib=9000), FARGATE, "give it more vCPUs"),
        (Needs(vcpus="3"), FARGATE, "takes one of 0.25, 0.5, 1, 2, 4, 8, 16"),
    ],
)
def test_what_aws_refuses_is_refused_early(needs: Needs, place: Project, told: str) -> None:
    with pytest.raises(SubmitError, match=f"^render has {told}|{told}"):
        limit.check("render", needs, place)


@pytest.mark.parametrize(
    ("needs", "place"),
    [
        (Needs(timeout_s=60, retry=Retry(attempts=10)), Project()),
        (Needs(vcpus="0.25"), FARGATE),
        (Needs(memory_mib=2048), FARGATE),
    ],
)
def test_what_aws_takes_passes(needs: Needs, place: Project) -> None:
    limit.check("render", needs, place)


def test_what_aws_would_let_fail_is_refused() -> None:
    def request(letters: int) -> dict[str, Any]:
        environment = [{"name": "LONG", "value": "x" * letters}]
        return {
            "parameters": {"inputs": "data:"},
            "containerOverrides": {"environment": environment},
        }

    limit.check_letters("render", request(7000))
    with pytest.raises(SubmitError, match=r"environment of render come to 8,\d+ letters"):
        limit.check_letters("render", request(7900))
